// Package bundle makes Maia Recovery.app and what is published with it, from programs that are built already: the
// universal program, Info.plist, the icon, the layout, a zip of it, checksums, Homebrew's cask and formula. It needs none
// of Apple's tools; signing and the disk image do, and are in make-app.sh.
package bundle

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"

	"howett.net/plist"

	"maia-dr/engine/fsx"
)

// What the application is called.
const (
	Name       = "Maia Recovery"
	Identifier = "com.maia.recovery"
	Program    = "maia-dr"
	// MinimumSystem is the oldest macOS that it is made for.
	MinimumSystem = "12.3"
	iconFile      = "app.icns"
)

// App says what goes into a bundle.
type App struct {
	// Version is a release's, with or without a v: 1.2.3 or 1.2.3-rc.1.
	Version string
	// Programs are the thin programs, one for each processor.
	Programs [][]byte
	// Icon is an .icns file.
	Icon []byte
	// License and Manual, the page for man, are laid beside it.
	License, Manual []byte
}

var versionPattern = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)(-[0-9A-Za-z.-]+)?$`)

// Numbers returns the part of a version that macOS takes: three numbers.
func Numbers(version string) (string, error) {
	m := versionPattern.FindStringSubmatch(version)
	if m == nil {
		return "", fmt.Errorf("%q is no version like 1.2.3", version)
	}
	return m[1], nil
}

// InfoPlist returns the bundle's Info.plist. The sentences are what macOS shows when it asks for access.
func InfoPlist(version string) ([]byte, error) {
	numbers, err := Numbers(version)
	if err != nil {
		return nil, fmt.Errorf("write Info.plist: %w", err)
	}
	const why = "Maia Recovery backs up the folder you chose, and puts its backups into your OneDrive folder."
	info := map[string]any{
		"CFBundleInfoDictionaryVersion": "6.0",
		"CFBundleDevelopmentRegion":     "en",
		"CFBundlePackageType":           "APPL",
		"CFBundleIdentifier":            Identifier,
		"CFBundleName":                  Name,
		"CFBundleDisplayName":           Name,
		"CFBundleExecutable":            Program,
		"CFBundleIconFile":              iconFile,
		"CFBundleShortVersionString":    numbers,
		"CFBundleVersion":               numbers,
		"CFBundleSupportedPlatforms":    []string{"MacOSX"},
		"LSMinimumSystemVersion":        MinimumSystem,
		"LSApplicationCategoryType":     "public.app-category.utilities",
		// It lives in the menu bar: no icon in the Dock.
		"LSUIElement":                          true,
		"NSHighResolutionCapable":              true,
		"NSSupportsAutomaticTermination":       false,
		"NSSupportsSuddenTermination":          false,
		"NSHumanReadableCopyright":             "MIT licence",
		"NSDesktopFolderUsageDescription":      why,
		"NSDocumentsFolderUsageDescription":    why,
		"NSDownloadsFolderUsageDescription":    why,
		"NSFileProviderDomainUsageDescription": "Maia Recovery puts its backups into your OneDrive folder, and looks whether OneDrive has uploaded them.",
		"NSRemovableVolumesUsageDescription":   "Maia Recovery writes a backup to a volume if you export one there.",
		"NSNetworkVolumesUsageDescription":     "Maia Recovery writes a backup to a volume if you export one there.",
	}
	b, err := plist.MarshalIndent(info, plist.XMLFormat, "\t")
	if err != nil {
		return nil, fmt.Errorf("write Info.plist: %w", err)
	}
	return append(b, '\n'), nil
}

// Write makes the bundle in dir, which gets a folder Maia Recovery.app; one that is there is replaced.
func (a App) Write(dir string) (path string, err error) {
	if _, err := Elements(a.Icon); err != nil {
		return "", fmt.Errorf("make bundle: icon: %w", err)
	}
	info, err := InfoPlist(a.Version)
	if err != nil {
		return "", err
	}
	program, err := Universal(a.Programs...)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, Name+".app")
	var disk *fsx.FS
	if err := disk.RemoveAll(path); err != nil {
		return "", fmt.Errorf("make bundle: %w", err)
	}
	for _, f := range []struct {
		name    string
		content []byte
		mode    fs.FileMode
	}{
		{"Info.plist", info, 0o644},
		{"PkgInfo", []byte("APPL????"), 0o644},
		{"MacOS/" + Program, program, 0o755},
		{"Resources/" + iconFile, a.Icon, 0o644},
		{"Resources/LICENSE", a.License, 0o644},
		{"Resources/" + Program + ".1", a.Manual, 0o644},
	} {
		to := filepath.Join(path, "Contents", f.name)
		err := disk.MkdirAll(filepath.Dir(to), 0o755)
		if err == nil {
			err = disk.WriteAtomic(to, f.mode, f.content)
		}
		if err != nil {
			return "", fmt.Errorf("make bundle: %w", err)
		}
	}
	return path, nil
}
