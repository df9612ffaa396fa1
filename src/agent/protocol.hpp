// SPDX-License-Identifier: MIT
//
// What the nmi command and the agent inside a program say to each other over a Unix stream socket.
//
// A message is a 32-bit length (little-endian, 1..65536, not counting itself) and that many bytes:
// fields, each ended by a NUL. A request's first field is a verb, a reply's is `ok` or `error`. One
// reply per request, in order. A peer that sends a wrong length, an unterminated field or nothing
// for five seconds in the middle of a message is disconnected; nobody else is affected.
//
//   hello                          ok, version, pid
//   rings                          ok, and the ring memfd as SCM_RIGHTS; refused while another
//                                    connection that has them is open
//   start                          ok: the program may go on to main (only where it waits, see
//   below) load PATH RATE SOURCE k=v...   ok, name, text    RATE in Hz; SOURCE auto, perf, timer,
//                                    or wall (RATE is of real time, then);
//                                                    text: one line on the source chosen, or empty
//                                    PATH must be absolute. A second handler takes the source that
//                                    runs: another RATE is refused, and so is another SOURCE but
//                                    auto. none: no source is started for it, or kept running
//   borrow PATH RATE SOURCE k=v... ok, name, text    as load; but when this connection ends, or
//                                    does not wait for the answer, the module is unloaded again
//   swap NAME PATH k=v...          ok, name, text    text: one line if something of the old handler
//                                    could not be unmapped, or empty
//   unload NAME                    ok, text          text: as of swap
//   detach                         ok, mapped, resident, text    every handler is unloaded, and the
//                                    agent ends: its socket, its threads, its shared memory. What
//                                    stays is its own object, in bytes: of address space, and in
//                                    memory not shared with its file. text: as of swap
//   memory NAME                    ok, and the module's memory as SCM_RIGHTS, to be read only
//   interrupt NUMBER TID...        ok, count, and a field "TID\tERRNO" for each thread that could
//                                    not be signalled (2000 at the most). One NMI on each of the
//                                    TIDs that are threads of the program, without TIDs on all;
//                                    count: how many. NUMBER, from 1: struct nmi_host's `requested`
//   status                         ok, then one field per line of the table below
//   finish                         ok: the command has read everything; the program may end
//   follow PATH                    ok: from now on forks of the program connect to the socket PATH;
//                                    an empty PATH: no more
//
//   exiting                        the one message that is no reply: sent once, on the channel of
//                                  `nmi run` only, when the program has reached its exit; the
//                                  command takes a last status, drains the rings, sends `finish`
//
//   error CODE TEXT HINT           CODE is one of enum class failure below, in decimal; TEXT says
//                                  what was tried and what stopped it, HINT what to try
//
// Lines of a status reply; values separated by tabs, times in nanoseconds:
//   agent     version pid
//   source    kind rate_hz threads unreachable overruns reason      ("none 0 0 0 0" when stopped)
//   unreachable tid reason               a thread that is not interrupted at present; the first
//                                        256 of those that `source` counts
//   cpus      cpu...                     numbers of the CPUs the columns below stand for
//   nmi       count...                   per CPU, all NMIs
//   handler   name generation path calls handled timed_calls total_ns longest_ns handled...
//             (the last per CPU; total_ns is the time spent in the timed_calls alone)
//   retired   the same, for a handler that was unloaded: its final row, kept until the program
//   ends;
//             handlers of one name share a row, their counts added up
//   unknown   count
//   forwarded count                      signals that were not ours and went to their owner
//   lost      count...                   per CPU, records
//   grace     count median_ns longest_ns
//
// Where. Every agent listens on socket_path(pid). A program started by `nmi run` also finds, in the
// environment variable below, the number of a connected socket; there it waits for `start` before
// main, and at exit for `finish` (two seconds at the most; not at all once the peer is gone).
// The variable and our entry of LD_PRELOAD are removed from the environment before main.
//
// Children. With the path of a recorder's socket in follow_variable, which stays in the environment
// as the entry of LD_PRELOAD does, a program that has no channel of its own connects there, and
// that is its channel; so do its forks, with the modules they have inherited. A program waits there
// for `start` follow_deadline_ms at the most, a fork not at all. Where nobody listens the program
// goes on without an agent, and both leave the environment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nmircu::agent {

inline constexpr const char* version_text = "1";
inline constexpr const char* channel_variable = "NMI_AGENT_CHANNEL";
inline constexpr const char* follow_variable = "NMI_AGENT_FOLLOW";
inline constexpr std::uint32_t most_message_bytes = 65536;
inline constexpr int message_deadline_ms = 5000;
inline constexpr int finish_deadline_ms = 2000;
inline constexpr int follow_deadline_ms = 3000;
// After that long a load, swap or unload is answered `busy`; it goes on all the same.
inline constexpr int operation_deadline_ms = 10000;

// Why a request was refused. The command's exit status is 1 for all of them; scripts that need to
// tell them apart read the number from the message.
enum class failure : std::uint32_t {
    malformed = 1,  // the request breaks the protocol
    unknown_verb = 2,
    module_missing = 3,  // no such file, or not readable
    module_invalid = 4,  // not a shared object, or no nmi_module symbol, or a bad field in it
    module_abi = 5,      // built for another version of module.h
    module_refused = 6,  // its init said no
    name_taken = 7,
    name_unknown = 8,
    source_failed = 9,  // no interrupt source could be started, or another one is running
    busy = 10,          // not done within the deadline: a handler does not return, an init blocks
    internal = 11,
};

using message = std::vector<std::string>;

// A message as it goes over the socket. Empty if it cannot be sent: no field, a field with a NUL
// inside, or more than most_message_bytes.
std::string encode(const message& fields);

enum class frame_state : std::uint8_t { incomplete, complete, malformed };

// Reads the message at the front of `received`. complete: `fields` is it, and it took the first
// `consumed` bytes. incomplete: wait for more. malformed: disconnect; nothing after it can be
// trusted. `fields` and `consumed` are touched only when complete.
frame_state decode(std::string_view received, message& fields, std::size_t& consumed);

// Where the socket of a process lives: its own user and the XDG_RUNTIME_DIR it was started with
// (null or empty if none); and what to put before its paths, if its file system is not ours.
struct socket_owner {
    unsigned uid;
    const char* runtime_directory;
    const char* root = "";
};
enum class directory_use : std::uint8_t { look, create };

// $XDG_RUNTIME_DIR/nmi/PID.sock, or /tmp/nmi-UID/PID.sock where that variable is unset or its
// directory unusable (not absolute, missing, or not the owner's alone). The directory `nmi` is
// created 0700 on request, and refused if somebody else owns it or may enter it. Empty result:
// refused, or too long for sun_path; `why` says so in one line.
std::string socket_path_of(const socket_owner& owner, int pid, directory_use use, std::string& why);

// The same for process `pid` of the calling process's user and environment; creates the directory.
std::string socket_path(int pid, std::string& why);

}  // namespace nmircu::agent
