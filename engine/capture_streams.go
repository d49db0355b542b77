package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
)

// captureStreams captures the large databases first: one that can only be kept as a plain file goes into a tar, with
// what lies beside it.
func (b *backup) captureStreams() error {
	plain, err := b.captureLargeOnes()
	if err != nil {
		return err
	}
	for _, name := range []string{component.Code, component.DataSmall} {
		entries := b.entries(name)
		if name == component.DataSmall && len(plain) > 0 {
			entries = append(slices.Clone(entries), plain...)
			slices.SortFunc(entries, func(x, y component.Entry) int { return strings.Compare(x.Path, y.Path) })
		}
		if len(entries) == 0 {
			continue
		}
		t, err := b.cap.tar(entries)
		if err != nil {
			return err
		}
		b.manifest.Components[name] = &repository.Component{
			Stream: "tar", Extents: t.extents, SizeBytes: t.size, Count: len(t.files), SourceBytes: t.source, Databases: t.databases,
		}
		b.files = append(b.files, t.files...)
	}
	b.files = append(b.files, b.large...)
	return nil
}

// captureLargeOnes captures the large databases, and returns those that are none a snapshot can be taken of.
func (b *backup) captureLargeOnes() (plain []component.Entry, err error) {
	comp := &repository.Component{}
	for _, en := range b.entries(component.DataLarge) {
		isDatabase, err := b.captureLarge(comp, &en)
		if err != nil {
			return nil, fmt.Errorf("capture %s: %w", en.Path, err)
		}
		if !isDatabase {
			b.cap.plain[en.Source] = true
			en.Component = component.DataSmall
			plain = append(plain, en)
			continue
		}
		b.cap.done += en.Stat.Size
		b.e.progress(event.Capture, b.cap.done, b.cap.total)
	}
	if comp.Count > 0 {
		b.manifest.Components[component.DataLarge] = comp
	}
	return plain, nil
}

// captureLarge captures a large database as a stream of its own. isDatabase is false if it has to be taken as a plain
// file.
func (b *backup) captureLarge(comp *repository.Component, en *component.Entry) (isDatabase bool, err error) {
	c := b.cap
	k := c.cached(en, false)
	if k == nil {
		k, err = c.database(en, false)
	}
	switch {
	case errors.Is(err, errGone):
		return true, nil
	case err != nil:
		return false, err
	case k == nil:
		return false, nil
	}
	extents, err := k.store(c)
	if err != nil {
		return false, err
	}
	db := repository.Database{
		Database: repository.Name(path.Base(en.Path)), Path: repository.Name(en.Path), OriginalSize: k.size, SHA256: k.sha256,
		Mode: en.Mode, ModTime: floorSeconds(en.Stat.MTimeNS), Extents: slices.Clone(extents), Facts: *k.facts,
	}
	comp.Databases = append(comp.Databases, db)
	comp.Count++
	comp.SizeBytes += k.size
	comp.SourceBytes += k.size
	b.large = append(b.large, repository.File{
		Component: en.Component, Path: db.Path, Type: repository.TypeLarge, SizeBytes: k.size, Mode: en.Mode,
		ModTimeNS: db.ModTime * 1e9, SHA256: &db.SHA256,
	})
	return true, nil
}

// floorSeconds rounds down, before 1970 too.
func floorSeconds(ns int64) int64 {
	sec := ns / 1e9
	if ns%1e9 < 0 {
		sec--
	}
	return sec
}
