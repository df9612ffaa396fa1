// SPDX-License-Identifier: MIT
//
// Frames of the agent's socket, and the place of that socket: the two things both ends must agree
// on. Pure functions and file-system checks; reading, writing and deadlines are each end's own.
// Thread context; allocates; throws nothing of its own.
#include <agent/protocol.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace nmircu::agent {
namespace {

constexpr std::size_t length_bytes = 4;

std::uint32_t read_length(std::string_view bytes) {
    std::uint32_t length = 0;
    for (std::size_t i = length_bytes; i-- > 0;) {
        length = length << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return length;
}

// The owner's alone: a directory, no symbolic link, that nobody else can enter.
bool is_private_directory(const char* path, unsigned uid) {
    struct stat found;
    return lstat(path, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == uid &&
           (found.st_mode & 077) == 0;
}

std::string base_directory(const socket_owner& owner) {
    const std::string root = owner.root;
    const char* runtime = owner.runtime_directory;
    if (runtime != nullptr && runtime[0] == '/' &&
        is_private_directory((root + runtime).c_str(), owner.uid)) {
        return root + runtime + "/nmi";
    }
    return root + "/tmp/nmi-" + std::to_string(owner.uid);
}

}  // namespace

std::string encode(const message& fields) {
    std::string body;
    for (const std::string& field : fields) {
        if (field.find('\0') != std::string::npos) return {};
        body += field;
        body += '\0';
    }
    if (body.empty() || body.size() > most_message_bytes) return {};
    std::string frame;
    for (std::size_t i = 0; i < length_bytes; ++i) {
        frame += static_cast<char>(body.size() >> (8 * i) & 0xff);
    }
    return frame + body;
}

frame_state decode(std::string_view received, message& fields, std::size_t& consumed) {
    if (received.size() < length_bytes) return frame_state::incomplete;
    const std::uint32_t length = read_length(received);
    if (length == 0 || length > most_message_bytes) return frame_state::malformed;
    if (received.size() - length_bytes < length) return frame_state::incomplete;

    const std::string_view body = received.substr(length_bytes, length);
    if (body.back() != '\0') return frame_state::malformed;
    fields.clear();
    for (std::size_t at = 0; at < body.size();) {
        const std::size_t end = body.find('\0', at);
        fields.emplace_back(body.substr(at, end - at));
        at = end + 1;
    }
    consumed = length_bytes + length;
    return frame_state::complete;
}

std::string socket_path_of(const socket_owner& owner, int pid, directory_use use,
                           std::string& why) {
    const std::string directory = base_directory(owner);
    const std::string path = directory + "/" + std::to_string(pid) + ".sock";
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        why = "the socket path " + path + " is longer than the " +
              std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes a Unix socket may have";
        return {};
    }
    if (use == directory_use::create && mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        why = "cannot create " + directory + ": " + std::strerror(errno);
        return {};
    }
    if (access(directory.c_str(), F_OK) == 0 &&
        !is_private_directory(directory.c_str(), owner.uid)) {
        why = directory + " is not a directory that user " + std::to_string(owner.uid) +
              " alone may enter";
        return {};
    }
    return path;
}

std::string socket_path(int pid, std::string& why) {
    const socket_owner self{geteuid(), std::getenv("XDG_RUNTIME_DIR")};
    return socket_path_of(self, pid, directory_use::create, why);
}

}  // namespace nmircu::agent
