# The same in Perl, which ldirectord runs in itself. It must end with exit: what falls out of its end has passed.
use IO::Socket::INET;
my ($vip, $vport, $address, $port) = @ARGV;
my $socket = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $port, Timeout => 3) or exit 1;
print $socket "how are you?\n";
my $answer = <$socket>;
exit($answer eq "happy\n" ? 0 : 1);
