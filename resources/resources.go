// Package resources holds what is shipped inside the program: restore_maia.sh, the restore that needs nothing
// installed. A copy of it goes into every backup and to the top of the repository.
package resources

import _ "embed"

// RestoreScript is restore_maia.sh, byte for byte. It must not be changed.
//
//go:embed restore_maia.sh
var RestoreScript []byte
