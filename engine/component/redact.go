package component

import "maia-dr/engine/vault"

// RedactURLs takes user names, passwords and tokens out of the addresses in a text, the output of pip or brew.
func RedactURLs(b []byte) []byte { return vault.RedactURLs(b) }
