// SPDX-License-Identifier: MIT
//
// What compilers call by themselves: C++ standard, [compliance], and the GCC manual, section 2.1.
// Any context. String instructions: one instruction for any size.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, std::size_t bytes) {
    void* const start = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return start;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= bytes) {
        return memcpy(to, from, bytes);
    }
    char* to_end = static_cast<char*>(to) + bytes - 1;
    const char* from_end = static_cast<const char*>(from) + bytes - 1;
    asm volatile("std\n\trep movsb\n\tcld"
                 : "+D"(to_end), "+S"(from_end), "+c"(bytes)
                 :
                 : "memory");
    return to;
}

void* memset(void* to, int value, std::size_t bytes) {
    void* const start = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return start;
}

int memcmp(const void* a, const void* b, std::size_t bytes) {
    const auto* left = static_cast<const unsigned char*>(a);
    const auto* right = static_cast<const unsigned char*>(b);
    for (; bytes != 0; ++left, ++right, --bytes) {
        if (*left != *right) return *left - *right;
    }
    return 0;
}

int strcmp(const char* a, const char* b) {
    while (*a != '\0' && *a == *b)
        ++a, ++b;
    return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}
}
