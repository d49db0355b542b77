package onedrive

import "fmt"

// Rung is a step of the ladder of what is known about a file's upload. A higher one is more.
type Rung int

// The ladder.
const (
	// Unknown: nothing is known, or the file is not there.
	Unknown Rung = iota
	// LocalOnly: it lies in the folder, and there is nobody to ask about its upload.
	LocalOnly
	// Pending: it waits to be uploaded.
	Pending
	// Uploading: it is being uploaded, or has been called uploaded for less than a minute.
	Uploading
	// ClientUploaded: OneDrive reports it uploaded.
	ClientUploaded
	// CloudVerified: Microsoft Graph has it with the same size and hash.
	CloudVerified
)

var rungNames = [...]string{"unknown", "local_only", "pending", "uploading", "client_uploaded", "cloud_verified"}

func (r Rung) String() string {
	if r < 0 || int(r) >= len(rungNames) {
		return rungNames[Unknown]
	}
	return rungNames[r]
}

// MarshalText writes the rung's name.
func (r Rung) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rung's name. Any other text is an error: a rung that nobody knows is no evidence.
func (r *Rung) UnmarshalText(b []byte) error {
	for i, name := range rungNames {
		if string(b) == name {
			*r = Rung(i)
			return nil
		}
	}
	return fmt.Errorf("read rung: there is no %.40q", b)
}
