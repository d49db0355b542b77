package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// prepare makes the folder and those in it, refuses what does not belong there, and looks at the space. total is the size
// of everything.
func (x *export) prepare(expected map[string]bool, total int64, folders []string) error {
	have, err := x.strangers(expected, folders)
	if err != nil {
		return err
	}
	free, err := fsx.FreeBytes(existingParent(x.dir))
	if err != nil {
		return err
	}
	// 50 MB for the file that is written before it takes the place of another, a little for rounded sizes.
	if need := total - have + 50<<20 + int64(len(expected))*4096; need > free && total > have {
		return &Error{Op: "export", Path: x.dir, Code: CodeDiskFull, Err: fmt.Errorf("%d MB are needed there and %d MB are free", need/1e6, free/1e6),
			Hint: "free some space there, or choose another place"}
	}
	for _, name := range append([]string{"."}, folders...) {
		path := filepath.Join(x.dir, name)
		if err := x.e.fs.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// What a killed export left: the folder holds nothing but our own files.
		if err := x.e.fs.RemoveTemps(path); err != nil {
			return err
		}
	}
	return x.e.fs.SyncDir(x.dir)
}

// strangers refuses a folder with files that are not of this export, and returns the bytes of those that are.
func (x *export) strangers(expected map[string]bool, folders []string) (have int64, err error) {
	var strange []string
	err = filepath.WalkDir(x.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == x.dir {
			return nil
		}
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(x.dir, path)
		switch {
		case volumeDust(d.Name()) && d.IsDir() && path != x.dir:
			return fs.SkipDir
		case d.IsDir() && (rel == "." || slices.Contains(folders, rel)), volumeDust(d.Name()):
			return nil
		case d.Type().IsRegular() && (expected[rel] || ownTemp(rel, expected)):
			fi, err := d.Info()
			if err == nil {
				have += fi.Size()
			}
			return err
		}
		strange = append(strange, rel)
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err == nil && len(strange) > 0 {
		err = &Error{Op: "export", Path: x.dir, Code: CodeUsage,
			Err:  fmt.Errorf("what lies there is not of such an export of %s: %q%s", x.m.BackupID, strange[0], andMore(len(strange)-1)),
			Hint: "name a folder that is empty, or that does not exist yet"}
	}
	return have, err
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// ownTemp reports whether a file is one that a killed export was writing: ".NAME.random.tmp" beside the file NAME, or a
// chunk's.
func ownTemp(rel string, expected map[string]bool) bool {
	dir, name := path.Split(rel)
	name, ok := strings.CutSuffix(name, fsx.TempSuffix)
	if !ok {
		return false
	}
	if slices.Contains(repository.StagedNames, rel) || expected[dir+name] {
		return true
	}
	name, ok = strings.CutPrefix(name, ".")
	i := strings.LastIndexByte(name, '.')
	return ok && i > 0 && expected[dir+name[:i]]
}

// volumeDust reports whether a name is one that a system itself puts on a stick.
func volumeDust(name string) bool {
	switch name {
	case ".DS_Store", ".Spotlight-V100", ".fseventsd", ".Trashes", ".TemporaryItems", "System Volume Information", "lost+found":
		return true
	}
	return strings.HasPrefix(name, "._")
}

// exportReadme tells whoever finds the stick what it is.
func exportReadme(m *repository.Manifest) string {
	return fmt.Sprintf(`This folder holds one backup made by Maia Recovery: %s, made %s.
It needs nothing else: no OneDrive, no network, no program.

To bring everything back on a Mac, open Terminal, type "bash " with the space, drag the file restore_maia.sh from this
folder into the window, and press Return. It asks where things go, and checks every byte.

%s
Without the script: restore.index.gz in the folder of the backup is a plain list. "chunk" lines name files in the folder
chunks (gzip); "stream" and "x" lines say which bytes of the uncompressed chunks, one after the other, make a tar archive
or a database.
`, m.BackupID, m.CreatedAt.UTC().Format("2 January 2006 15:04 MST"), cmp.Or(vaultReadme(m), "Secrets are not in it: it was made without a vault.\n"))
}

func vaultReadme(m *repository.Manifest) string {
	if m.PasswordNumber == 0 {
		return ""
	}
	return fmt.Sprintf("Secrets are in credentials.vault.enc, which vault password %d opens. Everything else lies here unencrypted: keep the\nstick as you would keep the Mac.\n", m.PasswordNumber)
}
