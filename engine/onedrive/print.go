package onedrive

import (
	"os"
	"syscall"
)

func fingerprint(fi os.FileInfo) Fingerprint {
	p := Fingerprint{SizeBytes: fi.Size(), MTimeNS: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		p.Inode = st.Ino
	}
	return p
}
