// What tch does not bind: memory statistics and events of whatever accelerator libtorch has loaded, and inference mode.
//
// Only libtorch's CPU half is linked: every call finds the accelerator at run time and fails where there is none.
// No exception leaves: a status comes back, and `mosel_error` has the words of the calling thread's last failure.

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Event.h>
#include <c10/core/InferenceMode.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>

namespace {

thread_local std::string last_error;

// 0: done. 1: failed.
template <class F>
int guarded(F call) noexcept {
  try {
    call();
    return 0;
  } catch (const c10::Error &error) {
    last_error = error.what_without_backtrace();
  } catch (const std::exception &error) {
    last_error = error.what();
  } catch (...) {
    last_error = "an unknown C++ exception";
  }
  return 1;
}

constexpr size_t AGGREGATE = 0;

}  // namespace

extern "C" {

const char *mosel_error() { return last_error.c_str(); }

// Bytes, in this order: allocated now, allocated at the peak, free on the device.
int mosel_memory(int device, int64_t *bytes) {
  return guarded([&] {
    const auto index = static_cast<c10::DeviceIndex>(device);
    const auto allocated = at::accelerator::getDeviceStats(index).allocated_bytes[AGGREGATE];
    bytes[0] = allocated.current;
    bytes[1] = allocated.peak;
    bytes[2] = static_cast<int64_t>(at::accelerator::getMemoryInfo(index).first);
  });
}

int mosel_reset_peak(int device) {
  return guarded([&] { at::accelerator::resetPeakStats(static_cast<c10::DeviceIndex>(device)); });
}

int mosel_empty_cache() {
  return guarded([] { at::accelerator::emptyCache(); });
}

int mosel_synchronize(int device) {
  return guarded([&] { at::accelerator::synchronizeDevice(static_cast<c10::DeviceIndex>(device)); });
}

// An event at the end of what is queued on the device's current stream; to be freed.
int mosel_event_record(int device, c10::Event **event) {
  return guarded([&] {
    const auto kind = at::accelerator::getAccelerator(true).value();
    auto made = std::make_unique<c10::Event>(kind, c10::EventFlag::BACKEND_DEFAULT);
    made->record(at::accelerator::getCurrentStream(static_cast<c10::DeviceIndex>(device)));
    *event = made.release();
  });
}

// Waits for `end`, and tells the milliseconds between the two.
int mosel_event_elapsed(const c10::Event *start, const c10::Event *end, double *milliseconds) {
  return guarded([&] {
    end->synchronize();
    *milliseconds = start->elapsedTime(*end);
  });
}

void mosel_event_free(c10::Event *event) { delete event; }

// Inference mode for the calling thread, until it is freed by the same thread.
int mosel_inference_begin(c10::InferenceMode **mode) {
  return guarded([&] { *mode = new c10::InferenceMode(true); });
}

void mosel_inference_end(c10::InferenceMode *mode) { delete mode; }

}  // extern "C"
