// Package resources holds what is shipped inside the program: restore_maia.sh, the restore that needs nothing
// installed, and the icons of the menu bar. A copy of the script goes into every backup and to the top of the repository.
package resources

import (
	"embed"
	"fmt"
)

// RestoreScript is restore_maia.sh, byte for byte. It must not be changed.
//
//go:embed restore_maia.sh
var RestoreScript []byte

// The icons lie in icons/ as SVG; packaging/icons draws the PNGs.
//
//go:embed icons/template/*.png icons/light/*.png icons/dark/*.png
var icons embed.FS

// IconForm says what an icon is for.
type IconForm string

// The forms of an icon, all PNG and square.
const (
	Template IconForm = "template" // macOS: black and alpha, 32 pixels for 16 points
	OnLight  IconForm = "light"    // Linux: coloured, for a light panel
	OnDark   IconForm = "dark"     // the same for a dark one
)

// Icon returns the PNG of an icon by its name in package menu.
func Icon(name string, form IconForm) ([]byte, error) {
	b, err := icons.ReadFile("icons/" + string(form) + "/" + name + ".png")
	if err != nil {
		return nil, fmt.Errorf("find icon: %w", err)
	}
	return b, nil
}
