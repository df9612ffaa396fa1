// SPDX-License-Identifier: MIT
//
// Functions with known names for the symbol tests; noinline and different, so that they stay apart.
namespace probe {

// Local: only .symtab knows it.
[[gnu::noinline]] static int hidden_work(int n) {
    int sum = 0;
    for (int i = 0; i < n; ++i)
        sum += i * (n ^ i);
    return sum;
}

// C++: its name is mangled.
[[gnu::visibility("default"), gnu::noinline]] int visible_work(int n, const char* text) {
    return hidden_work(n) * 3 + text[0];
}

}  // namespace probe

extern "C" [[gnu::visibility("default"), gnu::noinline]] int probe_plain(int n) {
    return probe::visible_work(n + 1, "x") - 1;
}
// Where hidden_work is, for the test.
extern "C" [[gnu::visibility("default")]] void* probe_address_of_hidden() {
    return reinterpret_cast<void*>(&probe::hidden_work);
}
// A second name of one function.
extern "C" [[gnu::visibility("default"), gnu::alias("probe_plain")]] int __probe_plain_alias(int n);
