"use strict";
// The strip of frames: buttons, arrow keys and clicks on timelines choose the one that is shown large.
const shots = [...document.querySelectorAll(".strip button")];
const large = document.querySelector("figure img");
const caption = document.querySelector("figcaption span");
let current = 0;

function show(number) {
  if (!shots.length) return;
  current = Math.max(0, Math.min(shots.length - 1, number));
  shots.forEach((shot, i) => shot.setAttribute("aria-current", i === current));
  const shot = shots[current];
  large.src = shot.firstElementChild.src;
  large.alt = caption.textContent = shot.title;
  const strip = shot.parentElement;
  strip.scrollTo({ left: shot.offsetLeft - strip.offsetLeft - (strip.clientWidth - shot.offsetWidth) / 2 });
}

shots.forEach((shot, i) => shot.addEventListener("click", () => show(i)));
document.querySelectorAll("figcaption button").forEach((button) =>
  button.addEventListener("click", () => show(current + Number(button.dataset.step))));
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: shots.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(to);
});
document.querySelectorAll("svg.line").forEach((line) =>
  line.addEventListener("click", (event) => {
    const box = line.getBoundingClientRect();
    const frame = ((event.clientX - box.left) / box.width) * Number(document.body.dataset.frames);
    const away = shots.map((shot) => Math.abs(Number(shot.dataset.frame) - frame));
    show(away.indexOf(Math.min(...away)));
    large.scrollIntoView({ block: "nearest" });
  }));
show(0);
