package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeModule makes a module of the given files (name, content, name, ...).
func writeModule(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	files = append(files, "go.mod", "module example.test/m\n\ngo 1.26\n")
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	portable = "package m\n\nfunc Name() string { return name() }\n"
	other    = "//go:build !darwin || !cgo\n\npackage m\n\nfunc name() string { return \"\" }\n"
	native   = `//go:build darwin && cgo

package m

/*
#include <Security/Security.h>
static char *hello(void) { return "hello"; }
*/
import "C"

import "strconv"

func name() string {
	status := C.SecKeychainLock(nil)
	if status != 0 || strconv.Itoa(1) == "" {
		return ""
	}
	return C.GoString(C.hello())
}
`
)

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files []string
		want  string // part of the only problem; empty for none
	}{
		{"good", []string{"native.go", native}, ""},
		{"wrong type beside C", []string{"native.go", strings.Replace(native, "strconv.Itoa(1", "strconv.Itoa(`1`", 1)}, "native.go:15:"},
		{"wrong result", []string{"native.go", strings.Replace(native, `return ""`, "return 7", 1)}, "native.go:16:"},
		{"unknown name", []string{"native.go", strings.Replace(native, "strconv.Itoa", "strconv.Iota", 1)}, "Iota"},
		{"syntax", []string{"native.go", native + "func {\n"}, "native.go:20:"},
		{"only in a test", []string{"native.go", native, "m_darwin_test.go", "package m\n\nvar _ int = name()\n"}, "m_darwin_test.go:3:"},
		{"external test", []string{"native.go", native, "x_darwin_test.go", "package m_test\n\nimport \"example.test/m\"\n\nvar _ int = m.Name()\n"}, "x_darwin_test.go:5:"},
		{"missing on darwin", nil, "undefined: name"},
		{"in an importer", []string{"native.go", native, "sub/s_darwin.go", "package sub\n\nimport \"example.test/m\"\n\nvar N int = m.Name()\n"}, "s_darwin.go:5:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := writeModule(t, append([]string{"m.go", portable, "other.go", other}, tc.files...)...)
			archs := []string{"arm64"}
			if tc.want == "" {
				archs = append(archs, "amd64")
			}
			for _, arch := range archs {
				checked, problems, err := check(dir, arch)
				if err != nil {
					t.Fatal(err)
				}
				if checked == 0 {
					t.Error("nothing was checked")
				}
				if tc.want == "" && len(problems) > 0 {
					t.Errorf("%s: %q", arch, problems)
				}
				if tc.want != "" && !strings.Contains(strings.Join(problems, "\n"), tc.want) {
					t.Errorf("%s: problems %q do not name %q", arch, problems, tc.want)
				}
			}
		})
	}
}

// No module at all is an error, not a success.
func TestCheckNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.test/m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, problems, err := check(dir, "arm64"); err == nil && len(problems) == 0 {
		t.Error("an empty module passes")
	}
}
