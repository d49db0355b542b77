//go:build darwin && !cgo

package keychain

func system() backend {
	return unavailable("this program was built without cgo, which the Keychain needs; build it with CGO_ENABLED=1, " +
		"or choose the keychain backend \"" + BackendSecurity + "\" in the configuration")
}
