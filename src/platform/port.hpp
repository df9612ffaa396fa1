// SPDX-License-Identifier: MIT
//
// What a platform must provide to the engine, as a concept; each platform offers a struct `port`
// in <nmircu/platform/port.hpp> and ends by asserting that it satisfies this. Freestanding.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "platform/reader_question.hpp"

namespace nmircu::platform {

enum class wait_result : std::uint8_t { woken, timed_out };

inline constexpr std::uint64_t forever_ns = ~std::uint64_t{0};

template <class Port>
concept platform_port = requires(std::atomic<std::uint32_t>& word, std::uint32_t value,
                                 std::uint64_t ns, const char* text, void (*function)(),
                                 const reader_question& question, const void* address, char* out,
                                 std::size_t bytes) {
    // After true, barrier_everyone works for the rest of this process's life. Idempotent.
    { Port::prepare_barrier_everyone() }
    noexcept->std::same_as<bool>;
    // A full memory barrier on every CPU that runs this program. Any context.
    { Port::barrier_everyone() }
    noexcept;
    // CPU numbers are below this, for ever.
    { Port::possible_cpus() }
    noexcept->std::same_as<unsigned>;
    { Port::current_cpu() }
    noexcept->std::same_as<unsigned>;
    { Port::current_thread() }
    noexcept->std::same_as<unsigned>;
    // What reader_state::per_cpu should be for the calling thread: null if it cannot count per CPU.
    { Port::per_cpu_area() }
    noexcept->std::same_as<void*>;
    // Sleeps while word == value, at most ns; may also return early. Thread context.
    { Port::wait(word, value, ns) }
    noexcept->std::same_as<wait_result>;
    // Any context; preserves errno.
    { Port::wake_all(word) }
    noexcept;
    { Port::now_ns() }
    noexcept->std::same_as<std::uint64_t>;
    // A span of arch::cycle_counter in nanoseconds.
    { Port::cycles_to_ns(ns) }
    noexcept->std::same_as<std::uint64_t>;
    // Runs function on a thread of its own, with every maskable signal blocked; text, at most 15
    // characters, is its name. False: there are no threads, or no more. Thread context.
    { Port::start_thread(function, text) }
    noexcept->std::same_as<bool>;
    // Calls function when the program ends normally, before whatever was set up earlier. May do
    // nothing. Thread context.
    { Port::at_exit(function) }
    noexcept;
    // Asks every thread (bare metal: every CPU, by an NMI) but the caller what section it is
    // inside, and tells those that the question wants and those that cannot be asked; bounded.
    // False: some could not be listed. Thread context, one caller at a time; allocates nothing, and
    // waits for no lock that a reader might hold.
    { Port::ask_every_reader(question) }
    noexcept->std::same_as<bool>;
    // The code at the address for people, such as "program+0x1234"; an empty text if it is not
    // known. Thread context, as above.
    { Port::name_code(address, out, bytes) }
    noexcept;
    // Shows one line to a person. Any context.
    { Port::report(text) }
    noexcept;
    // Shows one line and stops the program. Any context.
    { Port::panic(text) }
    noexcept;
};

}  // namespace nmircu::platform
