// SPDX-License-Identifier: MIT
//
// The documents' quick quiz, the compiler's half: why the load in rcu_dereference must be one that
// the compiler cannot see through (include/nmircu/rcu.hpp, the empty asm). Here the machine is
// sequentially consistent: no CPU is to blame.
//
// Property: whoever sees the new pointer sees the initialised data behind it.
//
// Object 0 is the present one and initialised; the updater initialises object 1 and publishes it.

#define OLD 0
#define NEW 1

bool initialised[2];
byte pointer;

proctype updater() {
    initialised[NEW] = true;
    pointer = NEW  // [PUB-1]
}

proctype reader() {
    byte seen;
    bool data;
#ifdef GUESSES
    data = initialised[NEW];  // as if the guess were right
    seen = pointer;
    if
    :: seen == NEW
    :: else -> data = initialised[seen]
    fi;
#else
    seen = pointer;  // [PUB-2]
    data = initialised[seen];
#endif
    assert(data)
}

init {
    atomic {
        initialised[OLD] = true;
        pointer = OLD;
        run updater();
        run reader()
    }
}
