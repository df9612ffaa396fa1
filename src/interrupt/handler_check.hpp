// SPDX-License-Identifier: MIT
//
// A handler returns as it was called: inside the same sections, as deep in NMIs, with IRQs as
// masked. Checked in debug builds of the library; in others nothing of this is left.
// Context: nmi, irq.
#pragma once

#include <nmircu/nmi.hpp>

namespace nmircu::interrupt {

class handler_check {
  public:
    explicit handler_check(detail::reader_state& self) noexcept : self_(self) {
        if constexpr (detail::checks_misuse) remember();
    }
    ~handler_check() {
        if constexpr (detail::checks_misuse) put_back();
    }
    handler_check(const handler_check&) = delete;
    handler_check& operator=(const handler_check&) = delete;

    // Around each call. The name stays valid as long as anybody may report it.
    void calls(const detail::named_code& code) noexcept {
        if constexpr (detail::checks_misuse) note(code);
    }
    void returned() noexcept {
        if constexpr (detail::checks_misuse) compare();
    }

  private:
    void remember() noexcept;
    void put_back() noexcept;
    void note(const detail::named_code& code) noexcept;
    void compare() noexcept;

    detail::reader_state& self_;
    std::uint64_t section_;
    std::uint32_t nmi_depth_;
    std::uint32_t irq_mask_;
    const char* outer_name_;
    const void* outer_function_;
    const void* outer_locked_at_;
    const void* outer_unlocked_at_;
};

// Stops the program if the calling thread is not between nmi_enter and nmi_exit.
void require_nmi(const char* what, const void* caller) noexcept;

}  // namespace nmircu::interrupt
