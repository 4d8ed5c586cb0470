#include "bindings/gil.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace mobileinst {
namespace {

/// The thread that ends the interpreter, and how many threads are about to take the interpreter's lock. Both
/// are of the process as the interpreter is.
std::atomic<std::thread::id> ending_thread{};
std::atomic<int> returning{0};

bool ended_by_another() {
    const std::thread::id ending = ending_thread.load();
    return ending != std::thread::id() && ending != std::this_thread::get_id();
}

[[noreturn]] void wait_for_the_end() {
    for (;;) {
        std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

/// From here on no other thread takes the lock; returns when none is about to.
void interpreter_ends() {
    ending_thread.store(std::this_thread::get_id());
    PyThreadState* state = PyEval_SaveThread();
    while (returning.load() != 0) {
        std::this_thread::yield();
    }
    PyEval_RestoreThread(state);
}

/// A forked process has one thread, which may go on after its parent's interpreter ended or while other
/// threads of the parent were on their way.
void forked() {
    ending_thread.store(std::thread::id());
    returning.store(0);
}

}  // namespace

GilRelease::~GilRelease() {
    // Counted before asking: either this sees that the interpreter ends, or its end waits for this.
    returning.fetch_add(1);
    if (ended_by_another()) {
        returning.fetch_sub(1);
        wait_for_the_end();
    }
    PyEval_RestoreThread(state_);
    returning.fetch_sub(1);
}

void watch_interpreter_exit() {
    namespace py = pybind11;
    py::module_::import("atexit").attr("register")(py::cpp_function(&interpreter_ends));
    const py::module_ os = py::module_::import("os");
    if (py::hasattr(os, "register_at_fork")) {
        os.attr("register_at_fork")(py::arg("after_in_child") = py::cpp_function(&forked));
    }
}

}  // namespace mobileinst
