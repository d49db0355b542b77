package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"sync"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// checkVault compares what is in the vault with what the manifest says is in it.
func (d *rehearsal) checkVault() {
	v := d.r.vault
	if v == nil {
		if d.m.PasswordNumber == 0 {
			for _, s := range d.m.Coverage.Secrets {
				if s.Captured {
					d.problem("%s: the manifest says that it is in the vault, and there is none", s.Path)
				}
			}
		}
		return
	}
	captured := map[string]bool{}
	for _, s := range d.m.Coverage.Secrets {
		key := place(s.Component, string(s.Path))
		captured[key] = captured[key] || s.Captured
		if s.Captured && d.r.sealed[key] == nil {
			d.problem("%s: the manifest says that it is in the vault, and it is not", s.Path)
		}
	}
	for i := range v.Files {
		if f := &v.Files[i]; !captured[place(f.Component, string(f.Path))] {
			d.problem("%s: it is in the vault, and the manifest does not say so", f.Path)
		}
	}
	copied := map[string]bool{}
	for _, f := range d.files {
		copied[place(f.Component, string(f.Path))] = true
	}
	for _, s := range v.Credentials.Sources {
		if key := place(s.Component, string(s.Path)); copied[key] && d.r.sealed[key] == nil {
			d.problem("%s: the vault has its secrets, and not the file", s.Path)
		}
	}
	c := d.m.Components[component.Secrets]
	if c == nil {
		return // checkManifest has said so
	}
	if c.Count != len(v.Files) {
		d.problem("%s: it holds %s, and the manifest counts %d", repository.VaultName, counted(len(v.Files), "file", "files"), c.Count)
	}
	var details struct {
		GitBundle bool `json:"git_bundle"`
	}
	if json.Unmarshal(c.Details, &details) == nil && details.GitBundle != (len(v.GitBundle) > 0) {
		d.problem("%s: the manifest says that it holds commits: %v; it does: %v", vault.GitBundleName, details.GitBundle, len(v.GitBundle) > 0)
	}
}

// marker is what stands in a redacted copy in the place of a secret. A name is given, or a text only speaks of markers.
var marker = regexp.MustCompile(regexp.QuoteMeta(vault.Placeholder) + `([A-Za-z0-9_.-]+)`)

// checkMarkers looks for secrets that did not come back: the vault was opened, and a restored file still has a marker.
// In an agent or a shell file that is a problem, or where the vault has a secret of that name; any other file may
// just speak of markers.
func (d *rehearsal) checkMarkers(p *placement) error {
	f := p.file
	if d.r.vault == nil || f.Type != repository.TypeFile || d.r.sealed[place(f.Component, string(f.Path))] != nil {
		return nil
	}
	personal := archiveOf(f.Component) != ""
	if !personal && !component.UnderRoot(f.Component) {
		return nil // lists that tools printed: what was taken out of them is in the vault with the file it stood in
	}
	name, err := findMarker(p.dest)
	if err != nil || name == "" {
		return err
	}
	const hint = "give the original its secret again"
	if personal || slices.ContainsFunc(d.r.vault.Credentials.Sources, func(s vault.Source) bool { _, ok := s.Values[name]; return ok }) {
		d.problem("%s: %s%s stands in the place of a secret that is not in the vault: %s", p.rel, vault.Placeholder, name, hint)
		return nil
	}
	d.warn("marker_left", p.rel, fmt.Sprintf("it says %s%s, as if a secret had been taken out of it", vault.Placeholder, name), hint+", or do nothing if it only speaks of that")
	return nil
}

var markerBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// findMarker returns the name of the first marker in a file; empty: there is none.
func findMarker(path string) (name string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	// What stands at the end of a piece is looked at with the next one.
	const overlap = 256
	pooled, _ := markerBuffers.Get().(*[256 << 10]byte)
	defer markerBuffers.Put(pooled)
	buf, have := pooled[:], 0
	for {
		n, err := io.ReadFull(file, buf[have:])
		have += n
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		// A name that ends with the piece may go on in the next one.
		if m := marker.FindSubmatchIndex(buf[:have]); m != nil && (last || m[1] < have) {
			return string(buf[m[2]:m[3]]), nil
		}
		if last {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		have = copy(buf, buf[have-overlap:have])
	}
}
