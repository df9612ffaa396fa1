// SPDX-License-Identifier: MIT
//
// Nothing but the precompiled headers that come with it; see tests/CMakeLists.txt.
int main() {}
