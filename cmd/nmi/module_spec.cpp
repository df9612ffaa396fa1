// SPDX-License-Identifier: MIT
//
// From MODULE[,key=value...] to a file; see module_spec.hpp.
#include <nmi/module_spec.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fmt/ranges.h>
#include <nmi/complaint.hpp>
#include <nmi/library_directory.hpp>
#include <nmi/symbols/module_file.hpp>

namespace nmircu::command {
namespace {

// Absolute, because the program that opens it may be in another directory.
std::string absolute_path(const std::string& path, const std::string& attempt) {
    const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                           &std::free);
    if (!real) {
        fail(exit_error, "{}: cannot open {}: {}; try a module's name or the path of its .so",
             attempt, path, std::strerror(errno));
    }
    return real.get();
}

std::string path_of(const std::string& module, const std::string& attempt) {
    if (module.find('/') != std::string::npos) return absolute_path(module, attempt);
    if (const std::string found = find_library("modules/" + module + ".so"); !found.empty()) {
        return found;
    }
    const std::vector<std::string> known = known_modules();
    if (known.empty()) {
        fail(exit_error,
             "{}: no module {} and no module directory beside this command; try a path with a '/', "
             "or set NMI_LIBRARY_DIR",
             attempt, module);
    }
    fail(exit_error, "{}: there is no module {}; try {}, or a path with a '/'", attempt, module,
         fmt::join(known, ", "));
}

}  // namespace

module_spec parse_module_spec(std::string_view text) {
    module_spec spec;
    std::size_t comma = text.find(',');
    spec.module = text.substr(0, comma);
    if (spec.module.empty()) {
        fail(exit_usage, "'{}' names no module; try MODULE or MODULE,key=value", text);
    }
    while (comma != std::string_view::npos) {
        const std::size_t begin = comma + 1;
        comma = text.find(',', begin);
        const std::string_view argument = text.substr(begin, comma - begin);
        const std::size_t equals = argument.find('=');
        if (equals == 0 || equals == std::string_view::npos) {
            fail(exit_usage, "'{}' in '{}' is not key=value; try MODULE,key=value,key=value",
                 argument, text);
        }
        spec.arguments.emplace_back(argument);
    }
    return spec;
}

std::string find_module(const module_spec& spec, const std::string& attempt) {
    std::string path = path_of(spec.module, attempt);
    if (const std::string wrong = wrong_with_module_file(path); !wrong.empty()) {
        fail(exit_error, "{}: {} {}", attempt, path, wrong);
    }
    return path;
}

}  // namespace nmircu::command
