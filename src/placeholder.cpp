// SPDX-License-Identifier: MIT
//
// Keeps the library a target CMake accepts until the engine's own files are here.
namespace nmircu {}
