// SPDX-License-Identifier: MIT
//
// [RC-11] as a barrier on every CPU but the reclaimer's: its look at the lists may be done before
// its announcement. The lists were empty; an object is pushed, the retirer finds no announcement;
// the reclaimer announces itself and trusts its early look.
//
// Must fail: (listed==0)&&(wishes==0)
#define RC11_NOT_ON_THE_RECLAIMER
#include "model.pml"
