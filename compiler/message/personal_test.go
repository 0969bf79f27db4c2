package message

import "testing"

func TestPersonalKindByName(t *testing.T) {
	for name, want := range map[string]string{
		"email": emailAddress, "Email": emailAddress, "userEmail": emailAddress, "user_email": emailAddress, "emailAddress": emailAddress,
		"customer_email_address": emailAddress, "e-mail": emailAddress, "contactEmails": emailAddress,
		"phone": phoneNumber, "phoneNumber": phoneNumber, "mobile_number": phoneNumber, "userPhone": phoneNumber,
		"name": anyName, "firstName": personName, "last_name": personName, "fullname": personName, "customerName": personName, "username": personName,
		"plan": "", "planName": "", "accountName": "", "product_name": "", "emailId": "", "email_subject": "", "emailDomain": "", "phoneModel": "",
		"number": "", "orderNumber": "", "smartphone": "", "microphone": "", "mobile": "", "filename": "", "fileName": "", "address": "", "": "", "$": "",
	} {
		if got := personalKind(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
