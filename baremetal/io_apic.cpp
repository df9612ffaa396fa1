// SPDX-License-Identifier: MIT
#include "baremetal/io_apic.hpp"

namespace nmircu::baremetal {

namespace {

// Registers are reached through an index and a window.
constexpr std::uintptr_t IOREGSEL = 0x00, IOWIN = 0x10;
constexpr std::uint32_t IOAPICVER = 0x01, IOREDTBL = 0x10;

constinit std::uintptr_t base = 0;

volatile std::uint32_t& at(std::uintptr_t offset) noexcept {
    return *reinterpret_cast<volatile std::uint32_t*>(base + offset);
}
void write(std::uint32_t index, std::uint32_t value) noexcept {
    at(IOREGSEL) = index;
    at(IOWIN) = value;
}
std::uint32_t read(std::uint32_t index) noexcept {
    at(IOREGSEL) = index;
    return at(IOWIN);
}

}  // namespace

void start_io_apic(std::uintptr_t address) noexcept {
    base = address;
    if (base == 0) return;
    const std::uint32_t last_pin = read(IOAPICVER) >> 16 & 0xff;
    for (std::uint32_t pin = 0; pin <= last_pin; ++pin)
        route_pin(pin, redirect_masked, 0);
}

bool has_io_apic() noexcept {
    return base != 0;
}

void route_pin(std::uint32_t pin, std::uint32_t entry, std::uint8_t apic_id) noexcept {
    // Masked in between, so that no interrupt goes half the new way.
    write(IOREDTBL + 2 * pin, redirect_masked);
    write(IOREDTBL + 2 * pin + 1, std::uint32_t{apic_id} << 24);
    write(IOREDTBL + 2 * pin, entry);
}

}  // namespace nmircu::baremetal
