# The same in Perl, which ldirectord runs inside itself. It must call exit: a check that just reaches its end has passed.
use IO::Socket::INET;
my ($vip, $vport, $address, $port) = @ARGV;
my $socket = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $port, Timeout => 3) or exit 1;
print $socket "how are you?\n";
my $answer = <$socket>;
exit($answer eq "happy\n" ? 0 : 1);
