// SPDX-License-Identifier: MIT
//
// Can this be run, and with an agent inside? See program.hpp.
#include <nmi/launch/program.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <nmi/complaint.hpp>
#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {
namespace {

constexpr int most_interpreters = 5;  // as the kernel

// 0, or why the file cannot be executed, as execve would say.
int cannot_execute(const std::string& path) {
    struct stat found;
    if (stat(path.c_str(), &found) != 0) return errno;
    if (!S_ISREG(found.st_mode)) return EACCES;
    return access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

[[noreturn]] void refuse(const std::string& name, int error) {
    const bool missing = error == ENOENT || error == ENOTDIR;
    if (missing) fail(exit_not_found, "run {}: there is no such program; try its full path", name);
    fail(exit_not_executable, "run {}: it cannot be executed ({}); try chmod +x, or another file",
         name, std::strerror(error));
}

std::string find_in_path(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::string rest = path ? path : "/usr/bin:/bin";
    int error = ENOENT;
    for (bool more = true; more;) {
        const std::size_t colon = rest.find(':');
        const std::string folder = rest.substr(0, colon);
        const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
        const int why = cannot_execute(candidate);
        if (why == 0) return candidate;
        if (why == EACCES && !std::filesystem::is_directory(candidate)) error = EACCES;
        more = colon != std::string::npos;
        if (more) rest.erase(0, colon + 1);
    }
    refuse(name, error);
}

std::string find_file(const std::string& name) {
    if (name.empty()) refuse("''", ENOENT);
    if (name.find('/') == std::string::npos) return find_in_path(name);
    if (const int error = cannot_execute(name)) refuse(name, error);
    return name;
}

// The words behind `#!`: the interpreter and at most one argument, as the kernel splits them.
std::vector<std::string> interpreter_words(const std::string& first_line) {
    const char* blank = " \t";
    const std::size_t begin = first_line.find_first_not_of(blank, 2);
    if (begin == std::string::npos) return {};
    const std::size_t end = first_line.find_first_of(blank, begin);
    std::vector<std::string> words{first_line.substr(begin, end - begin)};
    const std::size_t argument = first_line.find_first_not_of(blank, end);
    if (argument != std::string::npos) {
        words.push_back(
            first_line.substr(argument, first_line.find_last_not_of(" \t\r") + 1 - argument));
    }
    return words;
}

bool is_env_with_a_name(const std::vector<std::string>& words) {
    return words.size() == 2 && std::filesystem::path(words[0]).filename() == "env" &&
           !words[1].starts_with('-') && words[1].find_first_of("=/ \t") == std::string::npos;
}

// Follows one `#!`; false if the file does not begin with one.
bool enter_script(program& found, const std::string& name) {
    std::ifstream file(found.path, std::ios::binary);
    std::string line(256, '\0');
    file.read(line.data(), static_cast<std::streamsize>(line.size()));
    line.resize(static_cast<std::size_t>(file.gcount()));
    if (!line.starts_with("#!")) return false;
    line.erase(std::min(line.find('\n'), line.size()));

    std::vector<std::string> words = interpreter_words(line);
    if (words.empty()) refuse(name, ENOEXEC);
    if (is_env_with_a_name(words)) words = {find_file(words[1])};
    if (const int error = cannot_execute(words[0])) {
        fail(error == EACCES ? exit_not_executable : exit_not_found,
             "run {}: its interpreter {} cannot be executed ({}); try to install it", name,
             words[0], std::strerror(error));
    }
    words.push_back(found.path);
    words.insert(words.end(), found.arguments.begin() + 1, found.arguments.end());
    found = {words[0], words};
    return true;
}

void check_privileges(const std::string& path, const std::string& name) {
    struct stat file;
    if (stat(path.c_str(), &file) != 0) return;
    const char* what = nullptr;
    if ((file.st_mode & S_ISUID) != 0) what = "setuid";
    if ((file.st_mode & S_ISGID) != 0 && (file.st_mode & S_IXGRP) != 0) what = "setgid";
    if (getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
        what = "given capabilities by its file";
    }
    if (what == nullptr) return;
    fail(exit_error,
         "run {}: {} is {}, and for such programs the dynamic loader ignores LD_PRELOAD, so no "
         "agent could enter; try a plain copy of it (cp drops this)",
         name, path, what);
}

void check_loader(const elf_file& file, const std::string& path, const std::string& name) {
    const std::unique_ptr<elf_file> self = elf_file::open("/proc/self/exe");
    if (self == nullptr) return;
    if (file.header().e_machine != self->header().e_machine ||
        file.elf_class() != self->elf_class() ||
        file.header().e_ident[EI_DATA] != self->header().e_ident[EI_DATA]) {
        fail(exit_not_executable,
             "run {}: {} is built for another kind of machine than nmi and its agent; try a build "
             "for this one",
             name, path);
    }
    const std::string loader = file.interpreter();
    if (loader.empty()) {
        fail(exit_error,
             "run {}: {} is statically linked, so no dynamic loader runs that could preload the "
             "agent; try a dynamically linked build, or link libnmircu into it",
             name, path);
    }
    const std::string ours = self->interpreter();
    if (std::filesystem::path(loader).filename() != std::filesystem::path(ours).filename()) {
        fail(exit_error,
             "run {}: {} is started by {}, and the agent needs {}; try a build against this "
             "system's C library",
             name, path, loader, ours);
    }
}

}  // namespace

program find_program(const std::vector<std::string>& words) {
    const std::string& name = words.at(0);
    program found{find_file(name), words};
    for (int depth = 0; enter_script(found, name);) {
        if (++depth > most_interpreters) refuse(name, ELOOP);
    }
    // Executable but not readable: nothing can be said about it before it runs.
    if (access(found.path.c_str(), R_OK) != 0) return found;
    const std::unique_ptr<elf_file> file = elf_file::open(found.path);
    if (file == nullptr) {
        fail(exit_not_executable,
             "run {}: {} is neither an ELF program nor a script with #!; try sh {}", name,
             found.path, found.path);
    }
    check_loader(*file, found.path, name);
    check_privileges(found.path, name);
    return found;
}

}  // namespace nmircu::command
