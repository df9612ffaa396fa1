// SPDX-License-Identifier: MIT
//
// Functions that are inlined into each other, and a place in the innermost whose address and lines
// the test knows.
namespace lined {

template <class Number>
[[gnu::always_inline]] inline Number innermost(Number n) {
    // One line, so that it is the one of the place.
    asm volatile(".globl lined_place\nlined_place:\n\tnop" : "+r"(n));
    return n;
}
[[gnu::always_inline]] inline int middle(int n) {
    return innermost(n * 3);
}
[[gnu::noinline]] int outer(int n) {
    return middle(n + 1) ^ 5;
}

}  // namespace lined

extern "C" [[gnu::visibility("default")]] int lined_call(int n) {
    return lined::outer(n);
}
