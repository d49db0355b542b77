package engine_test

import (
	"path/filepath"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// flipped flips a bit in the middle of a file of the backup's folder.
func flipped(name string) sabotage {
	return sabotage{"a bit of " + name, func(v *victim) string {
		flip(v.t, v.path(name), len(read(v.t, v.path(name)))/2)
		return name
	}}
}

// sabotagedFolder: files of the backup's folder.
var sabotagedFolder = []sabotage{
	flipped(repository.ManifestName), flipped(repository.FilesName), flipped(repository.RestoreIndexName), flipped(repository.MACName),
	flipped(repository.VaultName), flipped(repository.LaunchAgentsName), flipped(repository.ShellConfigsName), flipped(repository.ScriptName),
	flipped(repository.SystemMetadataName),
	{"a package list is lost", func(v *victim) string {
		remove(v.t, v.path(component.BrewListFile))
		return component.BrewListFile
	}},
	{"the MAC is lost", func(v *victim) string {
		remove(v.t, v.path(repository.MACName))
		return repository.MACName
	}},
	{"the manifest is lost", func(v *victim) string {
		remove(v.t, v.path(repository.ManifestName))
		return v.m.BackupID + " is not in OneDrive with its manifest"
	}},
	{"the script at the top is another", func(v *victim) string {
		write(v.t, filepath.Join(v.repo(), repository.ScriptName), []byte("#!/bin/bash\necho restored\n"))
		return repository.ScriptName + " at the top"
	}},
	{"the script of the backup is another, well forged", func(v *victim) string {
		v.put(repository.ScriptName, []byte("#!/bin/bash\necho restored\n"))
		v.consistent(v.keys)
		return v.m.BackupID + "/" + repository.ScriptName
	}},
}

// sabotagedChunks: chunks under their old names.
var sabotagedChunks = []sabotage{
	{"a bit of a chunk", func(v *victim) string {
		flip(v.t, v.chunkPath(0), len(read(v.t, v.chunkPath(0)))/3)
		return filepath.Base(v.chunkPath(0))
	}},
	{"a chunk is lost", func(v *victim) string {
		remove(v.t, v.chunkPath(0))
		return filepath.Base(v.chunkPath(0))
	}},
	{"a chunk is cut off", func(v *victim) string {
		truncate(v.t, v.chunkPath(0), int64(len(read(v.t, v.chunkPath(0)))-1))
		return filepath.Base(v.chunkPath(0))
	}},
	{"a chunk goes on", func(v *victim) string {
		write(v.t, v.chunkPath(0), append(read(v.t, v.chunkPath(0)), gz(v.t, []byte("more"))...))
		return filepath.Base(v.chunkPath(0))
	}},
	{"two chunks are swapped", func(v *victim) string {
		a, b := read(v.t, v.chunkPath(0)), read(v.t, v.chunkPath(1))
		write(v.t, v.chunkPath(0), b)
		write(v.t, v.chunkPath(1), a)
		return filepath.Base(v.chunkPath(1))
	}},
	{"a chunk of the old backup is in its place", func(v *victim) string {
		old, _, err := repository.Repo{Dir: v.repo()}.ReadManifest(v.old)
		if err != nil {
			v.t.Fatal(err)
		}
		n := slices.IndexFunc(v.m.Chunks, func(c repository.ChunkRef) bool { return !slices.Contains(old.Chunks, c) })
		if n < 0 {
			v.t.Fatal("the new backup has no chunk of its own")
		}
		write(v.t, v.chunkPath(n), read(v.t, filepath.Join(v.repo(), repository.ChunksDir, repository.ChunkName(old.Chunks[0].SHA256))))
		return filepath.Base(v.chunkPath(n))
	}},
	{"a chunk's content is shorter than the manifest says", func(v *victim) string {
		v.m.Chunks[0].RawBytes++
		v.consistent(v.keys)
		return filepath.Base(v.chunkPath(0))
	}},
}

// sabotagedReplays: what was right once, or elsewhere.
var sabotagedReplays = []sabotage{
	{"the old backup under the new id", func(v *victim) string {
		remove(v.t, v.path(""))
		copyTree(v.t, filepath.Join(v.repo(), v.old), v.path(""))
		return v.m.BackupID
	}},
	{"the old index", func(v *victim) string {
		write(v.t, v.path(repository.RestoreIndexName), read(v.t, filepath.Join(v.repo(), v.old, repository.RestoreIndexName)))
		return repository.RestoreIndexName
	}},
	{"a MAC over the old index", func(v *victim) string {
		write(v.t, v.path(repository.MACName), read(v.t, filepath.Join(v.repo(), v.old, repository.MACName)))
		return repository.MACName
	}},
	{"the old vault, well forged", func(v *victim) string {
		v.put(repository.VaultName, read(v.t, filepath.Join(v.repo(), v.old, repository.VaultName)))
		v.consistent(v.keys)
		return repository.VaultName
	}},
	{"a backup of another repository", func(v *victim) string {
		v.m.RepositoryID = strings.Repeat("0123456789abcdef", 2)
		v.consistent(v.keys)
		return "another repository"
	}},
}
