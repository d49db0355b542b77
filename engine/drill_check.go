package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/sqlitesnap"
	"maia-dr/engine/stream"
	"maia-dr/engine/vault"
)

// drawn is how many files a light drill draws at random, besides those it always takes.
const drawn = 20

// checkFolder checks the files of the backup's folder, its index and the script. Without a file list there is nothing
// to restore: files stay nil.
func (d *rehearsal) checkFolder() error {
	repo := d.all.repos[d.folder]
	var problems []string
	d.files, problems = checkFolder(repo, d.m, d.raw)
	for _, p := range problems {
		d.problem("%s", p)
	}
	var bytes int64
	for _, f := range d.m.Files {
		bytes += f.SizeBytes
	}
	if d.folder == 0 {
		d.res.OneDriveBytes += bytes
	} else {
		d.res.MirrorBytes += bytes
	}
	d.checkScripts()
	if d.files != nil {
		d.checkManifest()
	}
	return d.ctx.Err()
}

// checkScripts compares the shipped script with what this program knows: that of the same release, and at the top that
// of this program or of the newest backup.
func (d *rehearsal) checkScripts() {
	own := repository.SumHash(d.e.opt.Script)
	i := slices.IndexFunc(d.m.Files, func(f repository.FileRef) bool { return f.Path == repository.ScriptName })
	if i < 0 {
		d.problem("%s carries no %s", d.m.BackupID, repository.ScriptName)
		return
	}
	shipped := d.m.Files[i].SHA256
	if d.m.ProgramVersion == d.e.opt.Version && shipped != own {
		d.problem("%s/%s is not the script of release %s", d.m.BackupID, repository.ScriptName, d.m.ProgramVersion)
	}
	top := d.all.repos[0].Path(repository.ScriptName)
	if !d.opt.Download && d.evicted(top) {
		// The mirror's copy tells what was published.
		top = d.e.mirror().Path(repository.ScriptName)
	}
	sum, _, err := repository.HashFile(top)
	switch {
	case err != nil:
		d.problem("%s at the top of the repository cannot be read: %v", repository.ScriptName, errors.Unwrap(err))
	case sum != own && sum != shipped:
		d.problem("%s at the top of the repository is not what this program put there", repository.ScriptName)
	}
	if !exists(d.all.repos[0].Path(repository.ReadmeName)) {
		d.warn("readme_missing", repository.ReadmeName, "it is not in the repository", "run `maia-dr backup`: it puts it there again")
	}
}

// choose draws what a light drill restores.
func (d *rehearsal) choose() error {
	if !d.opt.Light {
		return nil
	}
	before := map[string]repository.File{}
	ids := d.all.ids()
	if i := slices.Index(ids, d.m.BackupID); i >= 0 && i+1 < len(ids) {
		// Without a backup before that can be read, everything is of today.
		if m, err := d.all.summary(ids[i+1]); err == nil {
			if files, err := d.all.files(m); err == nil {
				for _, f := range files {
					before[place(f.Component, string(f.Path))] = f
				}
			}
		}
	}
	d.chosen = map[string]bool{}
	var rest []string
	for i := range d.files {
		f := &d.files[i]
		if f.Type == repository.TypeDir || f.Type == repository.TypeLarge {
			continue
		}
		key := place(f.Component, string(f.Path))
		old, known := before[key]
		today := !known || old.Type != f.Type || old.Mode != f.Mode || old.ModTimeNS != f.ModTimeNS || old.Link != f.Link ||
			f.HasContent() && (old.SHA256 == nil || *old.SHA256 != *f.SHA256)
		if today || !inStream(f.Component) || f.Type == repository.TypeDatabase {
			d.chosen[key] = true
		} else {
			rest = append(rest, key)
		}
	}
	for range min(drawn, len(rest)) {
		var b [8]byte
		if _, err := io.ReadFull(d.e.env.Random, b[:]); err != nil {
			return fmt.Errorf("draw files: %w", err)
		}
		n := int(binary.LittleEndian.Uint64(b[:]) % uint64(len(rest)))
		d.chosen[rest[n]] = true
		rest = slices.Delete(rest, n, n+1)
	}
	return nil
}

// wants reports whether a file is restored in this drill. Those of the vault always are.
func (d *rehearsal) wants(f *repository.File) bool {
	key := place(f.Component, string(f.Path))
	return !d.opt.Light || d.chosen[key] || d.r.sealed[key] != nil
}

// database compares what SQLite says of a restored database with what it said when that was captured.
func (d *rehearsal) database(p *placement, now *sqlitesnap.Facts, err error) {
	d.res.Databases++
	then := d.facts(string(p.file.Path))
	switch {
	case then != nil && then.CheckResult != "ok":
		d.warn("database_damaged", p.rel, "it failed its check when it was backed up already, and is restored as it was", "mend it, or restore it from an older backup")
		return
	case err != nil:
		d.problem("%s: it cannot be checked: %v", p.rel, err)
		return
	case now.CheckResult != "ok":
		d.problem("%s: %s", p.rel, now.CheckResult)
		return
	case then == nil:
		d.problem("%s: the manifest does not know it as a database", p.rel)
		return
	}
	if now.PageSize != then.PageSize || now.Pages != then.Pages || now.UserVersion != then.UserVersion || now.ApplicationID != then.ApplicationID {
		d.problem("%s: pages or version are not what the manifest says", p.rel)
	}
	if now.Tables == nil || then.Tables == nil {
		return
	}
	for name, rows := range then.Tables {
		if n, ok := now.Tables[name]; !ok || n != rows {
			d.problem("%s: table %q has %s, and had %d", p.rel, name, counted(n, "row", "rows"), rows)
		}
	}
	if now.ForeignKeyProblems != then.ForeignKeyProblems {
		d.problem("%s: %s to nothing, and %d did", p.rel, counted(now.ForeignKeyProblems, "row refers", "rows refer"), then.ForeignKeyProblems)
	}
}

func (d *rehearsal) facts(path string) *repository.DatabaseFacts {
	for _, c := range d.m.Components {
		for i := range c.Databases {
			if string(c.Databases[i].Path) == path {
				return &c.Databases[i].Facts
			}
		}
	}
	return nil
}

// checkRestored compares what lies in the scratch with what the backup says.
func (d *rehearsal) checkRestored() error {
	d.e.phase(event.Compare, d.r.plan.Bytes)
	var done int64
	known := map[string]bool{}
	for _, p := range d.r.places {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		for rel := p.rel; rel != "."; rel = path.Dir(rel) {
			known[rel] = true
		}
		if err := d.compare(p); err != nil {
			return err
		}
		if p.file.HasContent() {
			d.res.Files++
			d.res.Bytes += p.file.SizeBytes
		}
		done += p.file.SizeBytes
		d.e.progress(event.Compare, done, d.r.plan.Bytes)
	}
	err := filepath.WalkDir(d.r.opt.To, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.r.opt.To, path)
		if d.opt.Script && (rel == d.r.beside || rel == d.r.beside+"/report.txt") {
			return nil // the script says what it did
		}
		if err != nil || rel != "." && !known[rel] {
			d.problem("%s was restored and is not in the backup", rel)
		}
		return nil
	})
	if err != nil || d.opt.Light {
		return err
	}
	return d.checkTars()
}

// compare compares one file in its place: content or target, mode and time; a property list is parsed too.
func (d *rehearsal) compare(p *placement) error {
	equal, _, err := d.r.compareOne(p)
	if err != nil {
		return err
	}
	if !equal && p.rewritten && d.opt.Script {
		// The script has another writer of property lists than this program, or none; that it can be parsed is what counts.
		d.checkPlist(p)
		return nil
	}
	if !equal {
		d.problem("%s: what was restored is not what the backup says", p.rel)
		return nil
	}
	f := p.file
	if f.Type == repository.TypeSymlink {
		return nil
	}
	fi, err := os.Lstat(p.dest)
	if err != nil {
		return err
	}
	if fi.Mode()&^fs.ModeType != fileMode(f.Mode) {
		d.problem("%s: its mode is %v and should be %v", p.rel, fi.Mode(), fileMode(f.Mode))
	}
	if got, want := floorSeconds(fi.ModTime().UnixNano()), floorSeconds(f.ModTimeNS); got != want {
		d.problem("%s: its time is %d s off", p.rel, got-want)
	}
	if f.Type == repository.TypeFile && strings.HasSuffix(p.rel, ".plist") {
		d.checkPlist(p)
	}
	return d.checkMarkers(p)
}

// checkPlist parses a property list. One that is no agent's may have been broken when it was backed up.
func (d *rehearsal) checkPlist(p *placement) {
	agent := p.file.Component == component.LaunchAgents
	b, err := os.ReadFile(p.dest)
	var top map[string]any
	switch {
	case err != nil:
	case agent:
		top, err = vault.ReadPlist(b)
		if label, _ := top["Label"].(string); err == nil && label == "" {
			err = errors.New("it has no Label")
		}
	default:
		err = vault.CheckPlist(b)
	}
	switch {
	case err == nil:
	case agent:
		d.problem("%s: launchd could not read it: %v", p.rel, err)
	default:
		d.warn("plist_unreadable", p.rel, fmt.Sprintf("it is no property list that can be read: %v", err), "look at the original: it was backed up like that")
	}
}

// checkTars compares the headers in the tars, which a plain tar would restore by, with the file list.
func (d *rehearsal) checkTars() error {
	for _, s := range d.m.Streams() {
		if s.Database != nil {
			continue
		}
		if err := d.checkTar(s); err != nil && !d.spoilt(err) {
			return err
		}
	}
	return nil
}

func (d *rehearsal) checkTar(s repository.Stream) error {
	scratch, err := d.e.scratchFile()
	if err != nil {
		return err
	}
	defer scratch.Close()
	type part struct {
		off  int64
		want []byte
		path string
	}
	var parts []part
	var pieces []repository.Piece
	loc := repository.NewLocator(s.Extents)
	add := func(off int64, want []byte, path string) error {
		x, err := loc.Slice(off, int64(len(want)))
		if err != nil {
			return fmt.Errorf("%.80s, in the tar of %s: %w", path, s.Component, err)
		}
		pieces = append(pieces, repository.Pieces(x, scratch, off)...)
		parts = append(parts, part{off, want, path})
		return nil
	}
	var pos int64
	for _, f := range filesOf(d.files, s.Component) {
		header, err := stream.Header(stream.Entry{
			Type: tarType(f.Type), Path: string(f.Path), Link: string(f.Link), Mode: int64(f.Mode), Size: f.SizeBytes, ModTimeNS: f.ModTimeNS,
		})
		if err != nil {
			return fmt.Errorf("%v: %w", err, repository.ErrDamaged)
		}
		if err := add(pos, header, string(f.Path)); err != nil {
			return err
		}
		pos += int64(len(header))
		if !f.HasContent() {
			continue
		}
		if f.Offset != pos {
			d.problem("%s: the file list has it %d bytes from where it is in the tar of %s", f.Path, f.Offset-pos, s.Component)
			return nil
		}
		pos += f.SizeBytes + int64(stream.Padding(f.SizeBytes))
	}
	if err := add(pos, stream.Trailer, "its end"); err != nil {
		return err
	}
	if size := s.Extents.Size(); size != pos+int64(len(stream.Trailer)) {
		d.problem("the tar of %s goes on behind its end", s.Component)
	}
	bad, err := d.r.source().Copy(d.ctx, d.m.Chunks, pieces, false, nil)
	if err != nil {
		return err
	}
	for _, c := range bad {
		d.problem("%v", c)
	}
	for _, p := range parts {
		got := make([]byte, len(p.want))
		if _, err := scratch.ReadAt(got, p.off); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(got, p.want) && len(bad) == 0 {
			d.problem("%s: the tar of %s says otherwise than the file list", p.path, s.Component)
		}
	}
	return nil
}
