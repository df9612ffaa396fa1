// SPDX-License-Identifier: MIT
#include "baremetal/acpi.hpp"

namespace nmircu::baremetal {

namespace {

struct [[gnu::packed]] root_pointer {
    char signature[8];
    std::uint8_t checksum;
    char oem[6];
    std::uint8_t revision;
    std::uint32_t rsdt;
};

struct [[gnu::packed]] table_header {
    char signature[4];
    std::uint32_t length;
    std::uint8_t revision, checksum;
    char ids[26];
};
static_assert(sizeof(table_header) == 36);

struct [[gnu::packed]] madt {
    table_header header;
    std::uint32_t local_apic, flags;
    // Entries follow: type, length, contents.
};

struct [[gnu::packed]] hpet_table {
    table_header header;
    std::uint32_t block_id;
    std::uint8_t space, width, offset, access;
    std::uint64_t address;
};

enum madt_type : std::uint8_t { local_apic = 0, io_apic = 1, source_override = 2 };
constexpr std::uint32_t cpu_enabled = 1;

template <class T>
T read(const std::uint8_t* at) noexcept {
    T value;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
}

const std::uint8_t* address(std::uintptr_t at) noexcept {
    // Through the asm the compiler does not know that nothing of its own lies there.
    asm("" : "+r"(at));
    return reinterpret_cast<const std::uint8_t*>(at);
}

bool sums_to_zero(const std::uint8_t* at, unsigned bytes) noexcept {
    unsigned sum = 0;
    for (unsigned i = 0; i < bytes; ++i)
        sum += at[i];
    return (sum & 0xff) == 0;
}

bool has_signature(const std::uint8_t* at, const char* signature, unsigned bytes) noexcept {
    for (unsigned i = 0; i < bytes; ++i) {
        if (at[i] != static_cast<std::uint8_t>(signature[i])) return false;
    }
    return true;
}

const std::uint8_t* find_root_in(std::uintptr_t begin, std::uintptr_t end) noexcept {
    for (std::uintptr_t at = begin; at + sizeof(root_pointer) <= end; at += 16) {
        const std::uint8_t* const here = address(at);
        if (has_signature(here, "RSD PTR ", 8) && sums_to_zero(here, 20)) return here;
    }
    return nullptr;
}

// In the first KiB of the extended BIOS data area, or in the BIOS.
const std::uint8_t* find_root() noexcept {
    const std::uintptr_t ebda = std::uintptr_t{read<std::uint16_t>(address(0x40e))} << 4;
    if (ebda >= 0x80000 && ebda < 0xa0000) {
        if (const auto* const found = find_root_in(ebda, ebda + 1024)) return found;
    }
    return find_root_in(0xe0000, 0x100000);
}

void read_madt(const std::uint8_t* table, machine_description& out) noexcept {
    const auto length = read<table_header>(table).length;
    for (std::uint32_t at = sizeof(madt); at + 2 <= length;) {
        const std::uint8_t* const entry = table + at;
        if (entry[1] < 2) return;
        switch (entry[0]) {
            case local_apic:
                if ((read<std::uint32_t>(entry + 4) & cpu_enabled) == 0) break;
                if (out.cpus < platform::max_cpus) out.apic_id[out.cpus] = entry[3];
                ++out.cpus;
                break;
            case io_apic:
                if (out.io_apic == 0) out.io_apic = read<std::uint32_t>(entry + 4);
                break;
            case source_override:
                // ISA interrupt 0, the timer, to a pin.
                if (entry[3] == 0) out.pin_of_timer = read<std::uint32_t>(entry + 4);
                break;
            default:
                break;
        }
        at += entry[1];
    }
}

void read_table(const std::uint8_t* table, machine_description& out) noexcept {
    if (has_signature(table, "APIC", 4)) read_madt(table, out);
    if (has_signature(table, "HPET", 4)) out.hpet = read<hpet_table>(table).address;
}

}  // namespace

bool read_acpi(machine_description& out) noexcept {
    out = {};
    const std::uint8_t* const root = find_root();
    if (root == nullptr) return false;
    const std::uint8_t* const rsdt = address(read<root_pointer>(root).rsdt);
    const auto length = read<table_header>(rsdt).length;
    for (std::uint32_t at = sizeof(table_header); at + 4 <= length; at += 4)
        read_table(address(read<std::uint32_t>(rsdt + at)), out);
    return out.cpus != 0;
}

}  // namespace nmircu::baremetal
