// SPDX-License-Identifier: MIT
//
// memfd_create, mmap, seals; see shared_memory.hpp.
#include <agent/shared_memory.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include <agent/own_files.hpp>

namespace nmircu::agent {
namespace {

// Linux 5.1; glibc names it since 2.32, if asked for. Without it readers could write: refused.
constexpr int seal_future_write = 0x0010;
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | seal_future_write | F_SEAL_SEAL;

}  // namespace

void* shared_memory::create(std::uint64_t bytes) {
    if (file_ >= 0 || bytes == 0 || bytes > most_bytes) return nullptr;
    file_ = adopt_file(memfd_create("nmi-module", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file_ < 0) return nullptr;
    if (ftruncate(file_, static_cast<off_t>(bytes)) == 0) {
        memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
        if (memory_ == MAP_FAILED) memory_ = nullptr;
    }
    bytes_ = bytes;
    if (memory_ == nullptr || fcntl(file_, F_ADD_SEALS, seals) != 0) release();
    return memory_;
}

void shared_memory::release() {
    if (memory_ != nullptr) munmap(std::exchange(memory_, nullptr), bytes_);
    close_own_file(std::exchange(file_, -1));
}

}  // namespace nmircu::agent
