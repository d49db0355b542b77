package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
	"maia-dr/engine/vault"
)

// forgedLists: hashes and MAC are right, and the file list is not.
var forgedLists = []sabotage{
	{"an entry less", func(v *victim) string {
		gone := *v.find("README.md")
		v.files = slices.DeleteFunc(v.files, func(f repository.File) bool { return f.Path == gone.Path })
		v.m.Stats.SourceFiles--
		v.m.Stats.SourceBytes -= gone.SizeBytes
		v.m.Coverage.Captured.Files--
		v.m.Components[component.Code].Count--
		v.consistent(v.keys)
		return "the tar of " + component.Code
	}},
	{"an entry more", func(v *victim) string {
		more := v.file("more.md")
		v.m.Stats.SourceFiles++
		v.m.Stats.SourceBytes += more.SizeBytes
		v.m.Coverage.Captured.Files++
		v.m.Components[component.Code].Count++
		v.consistent(v.keys)
		return "more.md"
	}},
	{"another mode", func(v *victim) string {
		v.find("CLAUDE.md").Mode ^= 0o111
		v.consistent(v.keys)
		return "CLAUDE.md"
	}},
	{"another time", func(v *victim) string {
		v.find("CLAUDE.md").ModTimeNS += 1_000_000_000
		v.consistent(v.keys)
		return "CLAUDE.md"
	}},
	{"another target of a link", func(v *victim) string {
		n := slices.IndexFunc(v.files, func(f repository.File) bool { return f.Type == repository.TypeSymlink && f.Component == component.Code })
		v.files[n].Link += "x"
		v.consistent(v.keys)
		return string(v.files[n].Path)
	}},
	{"a database is just a file", func(v *victim) string {
		n := slices.IndexFunc(v.files, func(f repository.File) bool { return f.Type == repository.TypeDatabase })
		c := v.m.Components[v.files[n].Component]
		c.Databases = slices.DeleteFunc(c.Databases, func(db repository.Database) bool { return db.Path == v.files[n].Path })
		v.m.Stats.Databases--
		v.consistent(v.keys)
		return string(v.files[n].Path)
	}},
	{"the index lacks a line", func(v *victim) string {
		v.sealed(v.keys, func(x *repository.RestoreIndex) { x.Entries = x.Entries[:len(x.Entries)-1] })
		return repository.RestoreIndexName
	}},
	{"a package list is in no list", func(v *victim) string {
		gone := *v.find(component.BrewListFile)
		v.files = slices.DeleteFunc(v.files, func(f repository.File) bool { return f.Path == gone.Path })
		v.m.Files = slices.DeleteFunc(v.m.Files, func(f repository.FileRef) bool { return f.Path == component.BrewListFile })
		v.m.Stats.SourceFiles--
		v.m.Stats.SourceBytes -= gone.SizeBytes
		v.m.Components[component.Dependencies].Count--
		v.consistent(v.keys)
		return component.BrewListFile
	}},
}

// forgedStreams: hashes and MAC are right, and what lies in the chunks is not.
var forgedStreams = []sabotage{
	{"a wrong extent", func(v *victim) string {
		db := &v.m.Components[component.DataLarge].Databases[0]
		x := &db.Extents[len(db.Extents)-1]
		if x.Offset < 4096 {
			v.t.Fatal("the extent has nothing before it")
		}
		x.Offset -= 4096
		v.consistent(v.keys)
		return string(db.Path)
	}},
	{"a byte of a file", func(v *victim) string {
		f := v.find("CLAUDE.md")
		v.code(func(raw []byte) []byte { raw[f.Offset] ^= 1; return raw })
		v.consistent(v.keys)
		return "CLAUDE.md"
	}},
	{"a file is not in the tar", func(v *victim) string {
		gone := *v.find("README.md")
		header, err := stream.Header(stream.Entry{Type: stream.File, Path: string(gone.Path), Mode: int64(gone.Mode), Size: gone.SizeBytes, ModTimeNS: gone.ModTimeNS})
		if err != nil {
			v.t.Fatal(err)
		}
		from, to := gone.Offset-int64(len(header)), gone.Offset+gone.SizeBytes+int64(stream.Padding(gone.SizeBytes))
		v.code(func(raw []byte) []byte { return slices.Delete(raw, int(from), int(to)) })
		for i := range v.files {
			if f := &v.files[i]; f.Component == component.Code && f.Offset > gone.Offset {
				f.Offset -= to - from
			}
		}
		v.consistent(v.keys)
		return "README.md"
	}},
	{"a page of a database, and its hashes", func(v *victim) string {
		v.large(func(raw []byte) []byte {
			at := len(raw) / 2 / 4096 * 4096
			copy(raw[at:], bytes.Repeat([]byte{0xff}, 4096))
			return raw
		})
		v.consistent(v.keys)
		return string(v.m.Components[component.DataLarge].Databases[0].Path)
	}},
	{"the version of a database, and its hashes", func(v *victim) string {
		v.large(func(raw []byte) []byte { return v.edited(raw, "PRAGMA user_version = 99") })
		v.consistent(v.keys)
		return string(v.m.Components[component.DataLarge].Databases[0].Path)
	}},
	{"a row of a database, and its hashes", func(v *victim) string {
		db, table := v.counted()
		f := v.find(string(db.Path))
		v.tar(component.DataSmall, func(raw []byte) []byte {
			body := raw[f.Offset : f.Offset+f.SizeBytes]
			edited := v.edited(body, fmt.Sprintf("DELETE FROM %[1]q WHERE rowid = (SELECT max(rowid) FROM %[1]q)", table))
			if copy(body, edited) != len(edited) {
				v.t.Fatalf("%s has %d bytes now, and had %d", db.Path, len(edited), len(body))
			}
			db.SHA256 = repository.SumHash(edited)
			f.SHA256 = &db.SHA256
			return raw
		})
		v.consistent(v.keys)
		return string(db.Path)
	}},
}

// firstAgent returns an agent whose list is XML and not in the vault.
func (v *victim) firstAgent() string {
	v.t.Helper()
	for _, f := range v.files {
		sealed := slices.ContainsFunc(v.m.Coverage.Secrets, func(s repository.SecretRef) bool { return s.Path == f.Path })
		if f.Component == component.LaunchAgents && !sealed && bytes.HasPrefix(read(v.t, filepath.Join(v.fix.Home, "Library/LaunchAgents", string(f.Path))), []byte("<?xml")) {
			return string(f.Path)
		}
	}
	v.t.Fatal("no agent is as it was")
	return ""
}

// agent changes the list of one agent, with all hashes.
func (v *victim) agent(change func([]byte) []byte) (name string) {
	v.t.Helper()
	name = v.firstAgent()
	v.agents(func(f *repository.File, body []byte) ([]byte, bool) {
		if string(f.Path) == name {
			body = change(body)
		}
		return body, true
	}, nil)
	v.consistent(v.keys)
	return name
}

// forgedAgents: agents that were broken before the backup, or while it was made.
var forgedAgents = []sabotage{
	{"an agent's list was cut off", func(v *victim) string {
		return v.agent(func(b []byte) []byte { return b[:len(b)/2] })
	}},
	{"an agent's list is empty", func(v *victim) string {
		return v.agent(func([]byte) []byte { return []byte{} })
	}},
	{"an agent has no label", func(v *victim) string {
		return v.agent(func(b []byte) []byte {
			return bytes.Replace(b, []byte("<key>Label</key>"), []byte("<key>Lable</key>"), 1)
		})
	}},
	{"a secret of an agent was replaced by a marker", func(v *victim) string {
		return v.agent(func(b []byte) []byte {
			return bytes.Replace(b, []byte("<key>Label</key>"), []byte("<key>X</key><string>"+vault.Placeholder+"SOME_TOKEN</string><key>Label</key>"), 1)
		})
	}},
	{"an agent is in no list", func(v *victim) string {
		name := v.firstAgent()
		v.agents(func(f *repository.File, body []byte) ([]byte, bool) { return body, string(f.Path) != name }, nil)
		v.consistent(v.keys)
		return name
	}},
	{"an agent has another mode in its archive", func(v *victim) string {
		name := v.firstAgent()
		v.agents(func(_ *repository.File, body []byte) ([]byte, bool) { return body, true }, func(e *stream.Entry) {
			if e.Path == name {
				e.Mode = 0o755
			}
		})
		v.consistent(v.keys)
		return name
	}},
}

// sealedCopy returns a file in the vault that has a redacted copy.
func (v *victim) sealedCopy() repository.SecretRef {
	v.t.Helper()
	for _, s := range v.m.Coverage.Secrets {
		if s.Captured && slices.ContainsFunc(v.files, func(f repository.File) bool { return f.Path == s.Path && f.Component == s.Component }) {
			return s
		}
	}
	v.t.Fatal("nothing in the vault has a redacted copy")
	return repository.SecretRef{}
}

func dropFile(s repository.SecretRef) func(*vault.Contents) {
	return func(c *vault.Contents) {
		c.Files = slices.DeleteFunc(c.Files, func(f vault.File) bool { return f.Path == s.Path && f.Component == s.Component })
	}
}

// forgedSecrets: the vault can be opened, or not, and the secrets are not what they were.
var forgedSecrets = []sabotage{
	{"the vault was sealed with another password", func(v *victim) string {
		keys, err := vault.NewKeys(password(v.t, "another"), vault.Iterations, bytes.NewReader([]byte("0123456789abcdef")))
		if err != nil {
			v.t.Fatal(err)
		}
		v.vault(keys, func(*vault.Contents) {})
		v.consistent(v.keys)
		return repository.VaultName
	}},
	{"the vault lacks a file", func(v *victim) string {
		s := v.sealedCopy()
		v.vault(v.keys, dropFile(s))
		v.consistent(v.keys)
		return string(s.Path)
	}},
	{"a redacted copy whose original is nowhere", func(v *victim) string {
		s := v.sealedCopy()
		v.vault(v.keys, dropFile(s))
		v.m.Coverage.Secrets = slices.DeleteFunc(v.m.Coverage.Secrets, func(x repository.SecretRef) bool { return x.Path == s.Path })
		v.m.Coverage.Captured.Files++
		v.m.Components[component.Secrets].Count--
		v.consistent(v.keys)
		return string(s.Path)
	}},
	{"a file of the vault that is not said to be there", func(v *victim) string {
		for i := range v.m.Coverage.Secrets {
			v.m.Coverage.Secrets[i].Captured = false
		}
		v.consistent(v.keys)
		return string(v.m.Coverage.Secrets[0].Path)
	}},
	{"the vault lacks its bundle", func(v *victim) string {
		c := v.m.Components[component.Secrets]
		c.Details = bytes.Replace(c.Details, []byte(`"git_bundle":false`), []byte(`"git_bundle":true`), 1)
		c.Details = bytes.Replace(c.Details, []byte(`"git_bundle": false`), []byte(`"git_bundle": true`), 1)
		v.consistent(v.keys)
		return vault.GitBundleName
	}},
	{"the vault is left out", func(v *victim) string {
		v.m.PasswordNumber = 0
		delete(v.m.Components, component.Secrets)
		v.m.Files = slices.DeleteFunc(v.m.Files, func(f repository.FileRef) bool { return f.Path == repository.VaultName })
		if err := os.Remove(v.path(repository.VaultName)); err != nil {
			v.t.Fatal(err)
		}
		v.consistent(v.keys)
		return string(v.m.Coverage.Secrets[0].Path)
	}},
}
