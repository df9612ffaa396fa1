// SPDX-License-Identifier: MIT
//
// For tests of messages that name code addresses: functions whose extents are known, and matchers
// that ask whether the address after a phrase lies in one of them.
//
//     NMIRCU_SITE(locker) void lock_it() { nmircu::rcu_default_domain().lock(); }
//     EXPECT_DEATH({ print_sites(); lock_it(); ... }, names("entered at ", "locker"));
//
// The program that dies prints the extents by itself: it may be another one than the one that
// looks, at other addresses.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>

namespace nmircu_test {

struct site {
    const char* name;
    const char* begin;
    const char* end;
    site* next;
    static inline site* first = nullptr;

    site(const char* given_name, const char* given_begin, const char* given_end)
        : name(given_name), begin(given_begin), end(given_end), next(first) {
        first = this;
    }
};

// Declares the site `name`, and puts the function that follows into it. One function per site.
#define NMIRCU_SITE(name)                                                       \
    extern "C" char __start_site_##name[], __stop_site_##name[];                \
    static const ::nmircu_test::site site_of_##name{#name, __start_site_##name, \
                                                    __stop_site_##name};        \
    [[gnu::noinline, gnu::section("site_" #name)]]

inline void print_sites() {
    for (const site* each = site::first; each != nullptr; each = each->next)
        std::fprintf(stderr, "site %s %p %p\n", each->name, static_cast<const void*>(each->begin),
                     static_cast<const void*>(each->end));
    std::fflush(stderr);
}

// Whether `text` has `phrase`, and behind it an address within the site `name`.
MATCHER_P2(names, phrase, name, "") {
    const std::string text = arg;
    unsigned long begin = 0, end = 0;
    const std::size_t declared = text.find("site " + std::string(name) + " ");
    if (declared == text.npos ||
        std::sscanf(text.c_str() + declared, "site %*s %lx %lx", &begin, &end) != 2) {
        *result_listener << "no site " << name;
        return false;
    }
    const std::size_t message = text.find("nmircu: ");
    const std::size_t found = message == text.npos ? message : text.find(phrase, message);
    if (found == text.npos) {
        *result_listener << "no \"" << phrase << "\"";
        return false;
    }
    const unsigned long address =
        std::strtoul(text.c_str() + found + std::string(phrase).size(), nullptr, 16);
    *result_listener << "with " << std::hex << address << ", expected in " << begin << ".." << end;
    return address >= begin && address <= end;
}

}  // namespace nmircu_test
