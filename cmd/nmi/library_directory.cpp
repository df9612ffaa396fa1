// SPDX-License-Identifier: MIT
//
// The agent and the modules on disk; see library_directory.hpp.
#include <nmi/library_directory.hpp>

#include <cstdlib>
#include <filesystem>
#include <set>

#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

// Folders that hold nmi-agent.so or modules/, most specific first.
std::vector<fs::path> library_directories() {
    if (const char* directory = std::getenv("NMI_LIBRARY_DIR"); directory && *directory) {
        return {fs::absolute(directory)};
    }
    std::error_code error;
    const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
    return {
        here / NMI_LIBRARY_FROM_BINARY,  // as installed
        here,
        here / "../../src/agent",  // the build tree: <build>/cmd/nmi, <build>/src/agent,
        here / "../..",            // <build>/modules
    };
}

}  // namespace

std::string find_library(const std::string& name) {
    for (const fs::path& directory : library_directories()) {
        std::error_code error;
        if (fs::is_regular_file(directory / name, error)) {
            return fs::canonical(directory / name, error);
        }
    }
    return {};
}

std::vector<std::string> known_modules() {
    std::set<std::string> names;
    for (const fs::path& directory : library_directories()) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(directory / "modules", error)) {
            if (entry.path().extension() == ".so") names.insert(entry.path().stem());
        }
    }
    return {names.begin(), names.end()};
}

std::string find_agent(const std::string& attempt) {
    std::string path = find_library("nmi-agent.so");
    if (path.empty()) {
        fail(exit_error,
             "{}: nmi-agent.so is not beside this command; try NMI_LIBRARY_DIR=the folder it is in",
             attempt);
    }
    if (path.find_first_of(" :\t") != std::string::npos) {
        fail(exit_error,
             "{}: the dynamic loader cannot preload {}, for LD_PRELOAD splits at spaces and "
             "colons; try a folder without them, and NMI_LIBRARY_DIR",
             attempt, path);
    }
    return path;
}

}  // namespace nmircu::command
