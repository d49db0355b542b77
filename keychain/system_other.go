//go:build !darwin && !linux

package keychain

func system() backend {
	return unavailable("this platform has none that is known here; give the password in a file or at the prompt")
}
