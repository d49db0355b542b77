//go:build !darwin

package notify

// Path says why nothing can be shown on the screen: there is no session to show it in. nil does not mean that it is seen.
func Path(getenv func(string) string, uid int) error {
	_, err := SessionBus(getenv, uid)
	return err
}
