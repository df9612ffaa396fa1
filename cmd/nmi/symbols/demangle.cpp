// SPDX-License-Identifier: MIT
//
// libiberty's demanglers; see demangle.hpp. They rather than __cxa_demangle: that one knows no
// Rust, and neither it nor the others limit what comes out, which a few hundred bytes of
// substitutions can make exponentially long. Here output comes in pieces, and too much of it is
// left by longjmp; no frame in between owns anything.
#include <nmi/symbols/demangle.hpp>

#include <csetjmp>
#include <cstddef>
#include <cstring>

#define HAVE_DECL_BASENAME 1  // it would declare one of another type than glibc has
#include <libiberty/demangle.h>

namespace nmircu::command {
namespace {

constexpr std::size_t longest_mangled = 8192;
constexpr std::size_t longest_plain = 16384;

struct output {
    std::jmp_buf enough;
    std::size_t size;
    char text[longest_plain];
};

void take(const char* piece, std::size_t size, void* opaque) {
    auto* out = static_cast<output*>(opaque);
    if (size > sizeof out->text - out->size) std::longjmp(out->enough, 1);
    std::memcpy(out->text + out->size, piece, size);
    out->size += size;
}

using demangler = int (*)(const char*, int, demangle_callbackref, void*);

bool demangle_with(demangler demangle_one, const char* name, int options, output& out) {
    out.size = 0;
    if (setjmp(out.enough) != 0) return false;
    return demangle_one(name, options, take, &out) != 0 && out.size != 0;
}

}  // namespace

std::string demangle(const std::string& name) {
    static output out;
    const std::string plain = name.substr(0, name.find('@', 1));
    if (plain.size() > longest_mangled) return plain;
    const char* text = plain.c_str();
    const bool may_be_rust = plain.starts_with("_R") || plain.starts_with("_ZN");
    const bool done =
        (may_be_rust && demangle_with(rust_demangle_callback, text, 0, out)) ||
        (plain.starts_with("_Z") && demangle_with(cplus_demangle_v3_callback, text,
                                                  DMGL_PARAMS | DMGL_ANSI | DMGL_TYPES, out));
    return done ? std::string(out.text, out.size) : plain;
}

}  // namespace nmircu::command
