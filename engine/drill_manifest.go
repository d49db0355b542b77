package engine

import (
	"maps"
	"slices"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// checkManifest compares what the manifest says of the whole with what it says of the parts and with the file list. All
// of that can be wrong although every hash is right: then something was left out before the hashes were made.
func (d *rehearsal) checkManifest() {
	m := d.m
	if desc, err := d.all.repos[0].Descriptor(); err == nil && desc.RepositoryID != m.RepositoryID {
		d.problem("%s was made in another repository, %.40q", m.BackupID, m.RepositoryID)
	}
	folder := map[string]repository.FileRef{}
	for _, f := range m.Files {
		folder[f.Path] = f
	}
	listed := map[string][]repository.File{}
	for _, f := range d.files {
		listed[f.Component] = append(listed[f.Component], f)
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if m.Components[name] == nil {
			d.problem("%s: the manifest does not know the component %q", listed[name][0].Path, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Components)) {
		c := m.Components[name]
		d.checkComponent(name, c, folder, listed[name])
		d.checkDatabases(name, c, listed[name])
	}
	d.checkStats(listed)
	if sealed := m.Components[component.Secrets] != nil; sealed != (m.PasswordNumber > 0) {
		d.problem("%s: vault password %d, and a vault: %v", repository.ManifestName, m.PasswordNumber, sealed)
	}
}

// checkComponent compares a component with the folder's files and with its entries in the file list.
func (d *rehearsal) checkComponent(name string, c *repository.Component, folder map[string]repository.FileRef, list []repository.File) {
	if c.Path != "" {
		if ref := folder[c.Path]; c.SHA256 == nil || *c.SHA256 != ref.SHA256 || c.SizeBytes != ref.SizeBytes {
			d.problem("%s: the manifest gives it two sizes or hashes", c.Path)
		}
	}
	for _, file := range []string{c.RequirementsTxt, c.BrewList} {
		if _, ok := folder[file]; file != "" && !ok {
			d.problem("%s is not in the backup, and %s names it", file, name)
		}
	}
	if name != component.Secrets && c.Count != len(list) {
		d.problem("%s: the manifest counts %s, the file list %d", name, counted(c.Count, "entry", "entries"), len(list))
	}
	if archiveOf(name) == "" && name != component.Dependencies {
		return
	}
	there := map[repository.Name]bool{}
	for _, f := range list {
		there[f.Path] = true
	}
	for _, path := range c.Files {
		if !there[path] {
			d.problem("%s: the manifest names it, the file list does not", path)
		}
	}
}

// checkDatabases looks for each database that the manifest names in the file list.
func (d *rehearsal) checkDatabases(name string, c *repository.Component, list []repository.File) {
	for i := range c.Databases {
		db := &c.Databases[i]
		n := slices.IndexFunc(list, func(f repository.File) bool { return f.Path == db.Path })
		switch {
		case n < 0:
			d.problem("%s: a database of %s that the file list does not name", db.Path, name)
		case list[n].SHA256 == nil || *list[n].SHA256 != db.SHA256 || list[n].SizeBytes != db.OriginalSize:
			d.problem("%s: the manifest and the file list give it two sizes or hashes", db.Path)
		}
	}
}

// checkStats counts once more what the manifest counts.
func (d *rehearsal) checkStats(listed map[string][]repository.File) {
	secret := map[string]bool{}
	for _, s := range d.m.Coverage.Secrets {
		secret[place(s.Component, string(s.Path))] = true
	}
	var files, captured int
	var bytes int64
	for _, f := range d.files {
		if f.HasContent() {
			files++
			bytes += f.SizeBytes
		}
		if component.UnderRoot(f.Component) && f.Type != repository.TypeDir && !secret[place(f.Component, string(f.Path))] {
			captured++
		}
	}
	s := d.m.Stats
	if files != s.SourceFiles || bytes != s.SourceBytes {
		d.problem("%s: the manifest counts %s of %d bytes, the file list holds %d of %d", repository.FilesName, counted(s.SourceFiles, "file", "files"), s.SourceBytes, files, bytes)
	}
	if n := d.m.Coverage.Captured.Files; n != captured {
		d.problem("%s: by the manifest %s captured under the root, the file list holds %d", repository.FilesName, counted(n, "file was", "files were"), captured)
	}
	if n := len(listed[component.LaunchAgents]); n != s.LaunchAgents {
		d.problem("%s: the manifest counts %s, the file list %d", repository.LaunchAgentsName, counted(s.LaunchAgents, "agent", "agents"), n)
	}
}
