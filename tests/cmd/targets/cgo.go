// SPDX-License-Identifier: MIT
//
// Makes the program one with cgo: dynamically linked, with C's threads below Go's.
package main

// #include <stdlib.h>
import "C"

func init() {
	C.free(C.malloc(100))
}
