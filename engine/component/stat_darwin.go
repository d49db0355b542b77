package component

import (
	"io/fs"
	"syscall"
)

func ctime(st *syscall.Stat_t) int64 { return st.Ctimespec.Nano() }

// flagDataless is SF_DATALESS: the content is in the cloud only. Reading would download it, or hang.
const flagDataless = 0x40000000

func dataless(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Flags&flagDataless != 0
}
