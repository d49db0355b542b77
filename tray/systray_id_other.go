//go:build !darwin

package tray

import "fyne.io/systray"

// id gives the icon the name by which panels remember its place. It must come before Run.
func (*menuBar) id() { systray.SetTitle("Maia Recovery") }
