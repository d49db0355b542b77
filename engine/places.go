package engine

import "maia-dr/engine/onedrive"

// Root returns the Maia root, as every command finds it.
func (e *Engine) Root() (string, error) { return e.findRoot() }

// OneDriveFolder returns the OneDrive folder, as every command finds it. Where several would do, the error has
// onedrive.ErrSeveral in it, and the folder returned with it has the candidates.
func (e *Engine) OneDriveFolder() (onedrive.Folder, error) { return e.findOneDrive() }
