package onedrive

// System returns the source for the files of a folder: File Provider for one that it keeps, else nobody.
func System(folder string, helper Helper) Provider {
	if inCloudStorage(folder) {
		return &FileProvider{Helper: helper}
	}
	return Plain{}
}
