#pragma once

#include <pybind11/pybind11.h>

namespace mobileinst {

/// Releases the interpreter's lock for a scope, as py::gil_scoped_release does, but never asks for it back
/// once the interpreter ends: CPython would end the thread there by unwinding it through destructors, which
/// terminates the process or drops references without the lock. A daemon thread that comes back too late
/// waits for the end of the process instead (as CPython 3.14 has it do).
class GilRelease {
  public:
    GilRelease() : state_(PyEval_SaveThread()) {}
    ~GilRelease();
    GilRelease(const GilRelease&) = delete;
    GilRelease& operator=(const GilRelease&) = delete;

  private:
    PyThreadState* state_;
};

/// Has the interpreter say, through Python's `atexit`, when it ends.
void watch_interpreter_exit();

}  // namespace mobileinst
