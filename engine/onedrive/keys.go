package onedrive

import "fmt"

// Keys are what File Provider says of one file: values of NSURL's resource keys. What was not answered is empty.
type Keys struct {
	Ubiquitous Tri `json:"ubiquitous,omitempty"`
	Uploaded   Tri `json:"uploaded,omitempty"`
	Uploading  Tri `json:"uploading,omitempty"`
	Excluded   Tri `json:"excluded,omitempty"`
	// ErrorDomain and ErrorCode are those of the error that keeps the file from being uploaded; empty: there is none.
	ErrorDomain string `json:"error_domain,omitempty"`
	ErrorCode   int    `json:"error_code,omitempty"`
	// Problem says why nothing could be found out.
	Problem string `json:"problem,omitempty"`
}

// Domains of errors, as Foundation names them.
const (
	domainFileProvider = "NSFileProviderErrorDomain"
	domainCocoa        = "NSCocoaErrorDomain"
	domainPOSIX        = "NSPOSIXErrorDomain"
)

// errorClasses are the errors that only a person can remove. Sources: NSFileProviderError.h, FoundationErrors.h.
var errorClasses = map[string]map[int]Class{
	domainFileProvider: {-1000: SignedOut, -1003: Quota, -2005: RefusedName, -2010: Excluded},
	domainCocoa:        {4354: Quota, 257: NoPermission, 513: NoPermission},
	domainPOSIX:        {1: NoPermission, 13: NoPermission},
}

// unreachable are the errors that say that the service does not answer.
var unreachable = map[string]map[int]bool{
	domainFileProvider: {-1004: true, -2012: true},
	domainCocoa:        {4353: true, 4355: true},
}

// Answer draws the conclusion from the keys. Whatever is missing, contradicts itself or is new is no upload.
func (k Keys) Answer() Answer {
	switch {
	case k.Problem != "":
		return Answer{Detail: k.Problem}
	case k.ErrorDomain != "":
		return Answer{Rung: Pending, Class: errorClasses[k.ErrorDomain][k.ErrorCode], Detail: fmt.Sprintf("%s %d", k.ErrorDomain, k.ErrorCode)}
	case k.Excluded == Yes:
		return Answer{Rung: Pending, Class: Excluded}
	case k.Ubiquitous == No:
		return Answer{Rung: LocalOnly, Detail: "it is no item of a file provider"}
	case k.Uploading == Yes:
		return Answer{Rung: Uploading}
	case k.Uploaded == No:
		return Answer{Rung: Pending}
	case k.Uploaded == Yes && k.Ubiquitous == Yes:
		return Answer{Rung: ClientUploaded}
	}
	return Answer{Detail: "File Provider does not say"}
}
