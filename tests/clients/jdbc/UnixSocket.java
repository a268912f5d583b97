import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import javax.net.SocketFactory;

/** Connects pgjdbc, which knows TCP only, to a socket in the file system: the private cluster listens on no network. */
public final class UnixSocket extends SocketFactory {
    private final UnixDomainSocketAddress address;

    public UnixSocket(String path) {
        address = UnixDomainSocketAddress.of(path);
    }

    @Override
    public Socket createSocket() throws IOException {
        SocketChannel channel = SocketChannel.open(address);
        InputStream in = Channels.newInputStream(channel);
        OutputStream out = Channels.newOutputStream(channel);
        return new Socket() {
            @Override public InputStream getInputStream() { return in; }
            @Override public OutputStream getOutputStream() { return out; }
            @Override public boolean isConnected() { return channel.isConnected(); }
            @Override public boolean isClosed() { return !channel.isOpen(); }
            @Override public void close() throws IOException { channel.close(); }
            @Override public void setTcpNoDelay(boolean on) { }
            @Override public void setKeepAlive(boolean on) { }
            @Override public int getSendBufferSize() { return 8192; }
        };
    }

    @Override public Socket createSocket(String host, int port) throws IOException { return createSocket(); }
    @Override public Socket createSocket(String host, int port, java.net.InetAddress local, int localPort) throws IOException { return createSocket(); }
    @Override public Socket createSocket(java.net.InetAddress host, int port) throws IOException { return createSocket(); }
    @Override public Socket createSocket(java.net.InetAddress host, int port, java.net.InetAddress local, int localPort) throws IOException { return createSocket(); }
}
