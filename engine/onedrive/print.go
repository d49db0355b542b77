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

// PrintOf returns the fingerprint of what lies at path; a zero one if that is no regular file.
func PrintOf(path string) Fingerprint {
	fi := regular(path)
	if fi == nil {
		return Fingerprint{}
	}
	return fingerprint(fi)
}
