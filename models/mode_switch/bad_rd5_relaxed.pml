// SPDX-License-Identifier: MIT
//
// [RD-5] relaxed: the load of the pointer may be done before that of `asymmetric`.
//
// The reader has loaded the old pointer early. A grace period of the symmetric mode publishes the
// new one, fences, scans, finds nobody and frees; then the engine starts. The reader sees that,
// counts itself per CPU without a fence, trusts its early load, and uses what is freed.
//
// Must fail: !(freed[seen])
#define RD5_RELAXED
#include "model.pml"
