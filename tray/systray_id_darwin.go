//go:build cgo

package tray

// id does nothing: macOS would show a title beside the icon.
func (*menuBar) id() {}
